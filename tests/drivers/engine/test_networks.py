"""Networks of ours in a real Docker Engine, with the smallest plugin that can be: what the engine
passes on is what the driver promises the agent's plugin.
"""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dolium import errors
from dolium.drivers.engine.base import Plug
from dolium.drivers.engine.fake import Fake
from dolium.model.container import Spec, State
from dolium.model.network import FixedIp, Network, Port, Subnet
from tests import engines
from tests.drivers.engine.conftest import Bench


@dataclass
class Plugin:
    """A network and IPAM plugin that says yes, remembers, and hands out dummy links."""

    daemon: engines.Daemon
    name: str
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    """Call -> the error it answers."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens, as while an agent restarts."""
        self.path.rename(self.path.with_suffix(".away"))
        try:
            yield
        finally:
            self.path.with_suffix(".away").rename(self.path)

    @property
    def path(self) -> Path:
        """Where the engine looks for it."""
        return self.daemon.root / f"run/docker/plugins/{self.name}.sock"

    def calls(self, name: str) -> list[dict[str, Any]]:
        return [body for call, body in self.asked if call == name]

    def answer(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((call, body))
        if call in self.refuse:
            return {"Err": self.refuse[call], "Error": self.refuse[call]}
        match call:
            case "Plugin.Activate":
                return {"Implements": ["NetworkDriver", "IpamDriver"]}
            case "NetworkDriver.GetCapabilities":
                return {"Scope": "local", "ConnectivityScope": "global"}
            case "IpamDriver.GetDefaultAddressSpaces":
                return {"LocalDefaultAddressSpace": "l", "GlobalDefaultAddressSpace": "g"}
            case "IpamDriver.RequestPool":
                return {"PoolID": f"{body['Options'].get('dolium.network')}/{body['Pool']}"} | {
                    "Pool": body["Pool"]
                }
            case "IpamDriver.RequestAddress":
                prefix = body["PoolID"].rsplit("/", 1)[1]
                return {"Address": f"{body['Address']}/{prefix}"}
            case "NetworkDriver.CreateEndpoint":
                return {"Interface": {}}
            case "NetworkDriver.Join":
                link = f"t{body['EndpointID'][:10]}"
                add = ("ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}p")
                subprocess.run(self.daemon.nsenter(*add), check=True)
                return {
                    "InterfaceName": {"SrcName": link, "DstPrefix": "eth"},
                    "DisableGatewayService": True,
                }
        return {}


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    plugin: Plugin


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        answer = json.dumps(self.server.plugin.answer(self.path.strip("/"), body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return ""


@pytest.fixture
def plugin(docker: Bench) -> Iterator[Plugin]:
    assert docker.daemon
    plugin = Plugin(docker.daemon, f"test-{uuid.uuid4().hex[:8]}")
    with Server(str(plugin.path), Handler) as server:
        server.plugin = plugin
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield plugin
        # The engine tells of what ends: the containers first, then the networks.
        for seen in docker.engine.listing(docker.deployment):
            docker.engine.stop(seen.handle, 0)
            docker.engine.remove(seen.handle)
        for network in docker.engine.wired(docker.deployment):
            docker.engine.unwire(network)
        server.shutdown()
        thread.join()
    plugin.path.unlink()


def network(number: int = 5) -> Network:
    v4 = Subnet(uuid="s4", version=4, cidr=f"10.98.{number}.0/24", gateway=f"10.98.{number}.1")
    v6 = Subnet(uuid="s6", version=6, cidr=f"fd98:{number}::/64", gateway=f"fd98:{number}::1")
    return Network(
        uuid=str(uuid.uuid4()), project_id="p", name="n", driver="bridge", subnets=(v4, v6)
    )


def plug(where: Network, host: int = 9) -> Plug:
    v4, v6 = where.subnets
    ips = (
        FixedIp(subnet_id="s4", version=4, address=f"{v4.cidr[:-4]}{host}", prefix=24),
        FixedIp(subnet_id="s6", version=6, address=f"{v6.cidr[:-3]}{host}", prefix=64),
    )
    port = Port(
        uuid=str(uuid.uuid4()),
        network_uuid=where.uuid,
        container_uuid="c",
        mac="02:00:00:00:00:09",
        fixed_ips=ips,
    )
    return Plug(port=port, network=where, token=f"token-{host}", aliases=("web",))


def create(bench: Bench, *plugs: Plug) -> Any:
    labels = bench.labels()
    spec = Spec(image="busybox", memory="64", command=["sleep", "1000"])
    bench.engine.create(bench.name(labels), spec, plugs, labels)
    return labels


@pytest.mark.live
def test_wire_twice_is_one_network(docker: Bench, plugin: Plugin) -> None:
    first = network()
    for _ in range(2):
        docker.engine.wire(first, plugin.name, docker.deployment)
    (made,) = plugin.calls("NetworkDriver.CreateNetwork")
    assert made["Options"]["com.docker.network.generic"] == {"dolium.network": first.uuid}
    assert made["Options"]["com.docker.network.enable_ipv6"] is True
    pools = plugin.calls("IpamDriver.RequestPool")
    assert [pool["Pool"] for pool in pools] == [subnet.cidr for subnet in first.subnets]
    assert all(pool["Options"] == {"dolium.network": first.uuid} for pool in pools)
    assert docker.engine.wired(docker.deployment) == [first.uuid]
    assert docker.engine.wired("somebody-else") == []


@pytest.mark.live
def test_unwire_twice(docker: Bench, plugin: Plugin) -> None:
    first = network()
    docker.engine.wire(first, plugin.name, docker.deployment)
    for _ in range(2):
        docker.engine.unwire(first.uuid)
    assert docker.engine.wired(docker.deployment) == []


@pytest.mark.live
def test_the_plugin_is_told_what_it_needs(docker: Bench, plugin: Plugin) -> None:
    one, two = network(5), network(6)
    for wired in (one, two):
        docker.engine.wire(wired, plugin.name, docker.deployment)
    plugs = (plug(one), plug(two, 7))
    labels = create(docker, *plugs)
    assert plugin.calls("NetworkDriver.CreateEndpoint") == []
    docker.engine.start(docker.look(labels).handle)
    endpoints = plugin.calls("NetworkDriver.CreateEndpoint")
    told = {
        endpoint["Options"]["dolium.port"]: (
            endpoint["Options"]["dolium.token"],
            endpoint["Interface"]["Address"],
            endpoint["Interface"]["AddressIPv6"],
            endpoint["Interface"]["MacAddress"],
        )
        for endpoint in endpoints
    }
    assert told == {
        plugs[0].port.uuid: ("token-9", "10.98.5.9/24", "fd98:5::9/64", ""),
        plugs[1].port.uuid: ("token-7", "10.98.6.7/24", "fd98:6::7/64", ""),
    }
    aliases = docker.inspect(docker.look(labels))["NetworkSettings"]["Networks"]
    assert all("web" in endpoint["Aliases"] for endpoint in aliases.values())


@pytest.mark.live
def test_adopting_completes_what_a_crash_left_out(docker: Bench, plugin: Plugin) -> None:
    one, two = network(5), network(6)
    for wired in (one, two):
        docker.engine.wire(wired, plugin.name, docker.deployment)
    labels = create(docker, plug(one))
    spec = Spec(image="busybox", memory="64", command=["sleep", "1000"])
    for _ in range(2):
        docker.engine.create(docker.name(labels), spec, (plug(one), plug(two)), labels)
    found = docker.inspect(docker.look(labels))["NetworkSettings"]["Networks"]
    assert set(found) == {f"dolium-{one.uuid}", f"dolium-{two.uuid}"}


@pytest.mark.live
def test_the_plugins_refusal_is_the_reason(docker: Bench, plugin: Plugin) -> None:
    one = network()
    docker.engine.wire(one, plugin.name, docker.deployment)
    labels = create(docker, plug(one))
    plugin.refuse["NetworkDriver.CreateEndpoint"] = "port 7 has no token"
    with pytest.raises(errors.Refused) as caught:
        docker.engine.start(docker.look(labels).handle)
    assert str(caught.value) == "port 7 has no token"
    plugin.refuse.clear()
    docker.engine.start(docker.look(labels).handle)
    assert docker.look(labels).state is State.RUNNING


@pytest.mark.live
@pytest.mark.slow
def test_a_plugin_of_another_name_takes_the_network_over(docker: Bench, plugin: Plugin) -> None:
    one = network()
    docker.engine.wire(one, plugin.name, docker.deployment)
    other = docker.engine._client  # type: ignore[attr-defined]
    before = other.ask("GET", f"/networks/dolium-{one.uuid}", dict)
    assert before["Driver"] == plugin.name
    with pytest.raises((errors.Unanswered, errors.Refused, errors.Absent)):
        docker.engine.wire(one, "nosuchplugin", docker.deployment)
    docker.engine.wire(one, plugin.name, docker.deployment)
    assert docker.engine.wired(docker.deployment) == [one.uuid]


@pytest.mark.live
def test_start_without_the_network(docker: Bench, plugin: Plugin) -> None:
    one = network()
    labels = create(docker, plug(one))
    with pytest.raises(errors.Unwired, match=f"Network dolium-{one.uuid}"):
        docker.engine.start(docker.look(labels).handle)


@pytest.mark.live
def test_a_network_made_anew_is_joined_anew(docker: Bench, plugin: Plugin) -> None:
    one = network()
    docker.engine.wire(one, plugin.name, docker.deployment)
    labels = create(docker, plug(one))
    handle = docker.look(labels).handle
    docker.engine.start(handle)
    docker.engine.stop(handle, 0)
    docker.engine.unwire(one.uuid)
    docker.engine.wire(one, plugin.name, docker.deployment)
    with pytest.raises(errors.Unwired):
        docker.engine.start(handle)
    docker.engine.rejoin(handle, (plug(one),))
    docker.engine.start(handle)
    assert docker.look(labels).state is State.RUNNING


@pytest.mark.live
@pytest.mark.slow
def test_start_while_the_plugin_is_down(docker: Bench, plugin: Plugin) -> None:
    one = network()
    docker.engine.wire(one, plugin.name, docker.deployment)
    labels = create(docker, plug(one))
    with plugin.away(), pytest.raises(errors.Unanswered, match="Network plugin does not answer"):
        docker.engine.start(docker.look(labels).handle)  # after 15 s of the engine's patience
    docker.engine.start(docker.look(labels).handle)
    assert docker.look(labels).state is State.RUNNING


def test_the_fake_knows_networks_too() -> None:
    fake = Fake()
    fake.pull("busybox", "always")
    bench = Bench(fake)
    one = network()
    labels = create(bench, plug(one))
    handle = bench.look(labels).handle
    with pytest.raises(errors.Unwired):
        fake.start(handle)
    fake.wire(one, "dolium", bench.deployment)
    assert fake.wired(bench.deployment) == [one.uuid]
    plugged: list[str] = []
    unplugged: list[str] = []
    fake.plug = lambda plug: plugged.append(plug.token)
    fake.unplug = lambda plug: unplugged.append(plug.token)
    fake.start(handle)
    assert (plugged, unplugged) == (["token-9"], [])
    with pytest.raises(errors.Refused):
        fake.unwire(one.uuid)
    fake.stop(handle, 1)
    assert unplugged == ["token-9"]
    fake.unwire(one.uuid)
    assert fake.wired(bench.deployment) == []
    fake.wire(one, "dolium", bench.deployment)
    with pytest.raises(errors.Unwired):  # it bears the name of the one before, and is another
        fake.start(handle)
    fake.rejoin(handle, (plug(one),))
    fake.start(handle)


def test_a_dead_plugin_fails_the_start_of_the_fake() -> None:
    fake = Fake()
    fake.pull("busybox", "always")
    bench = Bench(fake)
    one = network()
    fake.wire(one, "dolium", bench.deployment)

    def dead(_: Plug) -> None:
        raise errors.Unanswered(what="Network plugin", why="connection refused")

    fake.plug = dead
    labels = create(bench, structs.replace(plug(one)))
    with pytest.raises(errors.Unanswered):
        fake.start(bench.look(labels).handle)
    assert bench.look(labels).state is State.CREATED
