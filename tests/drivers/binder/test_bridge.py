"""The bridge binder against the real kernel, in network namespaces of the test's own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dolium import errors
from dolium.drivers.binder import forwarding
from dolium.drivers.binder.bridge import Bridge, BridgeOptions
from dolium.model.network import FixedIp, Network, Port, Subnet
from tests.drivers.binder import lab

pytestmark = pytest.mark.live


def network(number: int) -> Network:
    return Network(
        uuid=str(uuid.UUID(int=number << 84)),
        project_id=f"p{number}",
        name="default",
        driver="bridge",
        subnets=(
            Subnet(uuid="4", version=4, cidr=f"10.9.{number}.0/24", gateway=f"10.9.{number}.1"),
            Subnet(uuid="6", version=6, cidr=f"fd09:{number}::/64", gateway=f"fd09:{number}::1"),
        ),
        mtu=1400,
    )


def port(net: Network, number: int) -> Port:
    number_of_net = int(net.project_id[1:])
    return Port(
        uuid=str(uuid.UUID(int=(number_of_net * 256 + number) << 84)),
        network_uuid=net.uuid,
        container_uuid="c",
        mac=f"02:00:00:00:{number_of_net:02x}:{number:02x}",
        fixed_ips=(
            FixedIp(subnet_id="4", version=4, address=f"10.9.{number_of_net}.{number}", prefix=24),
            FixedIp(subnet_id="6", version=6, address=f"fd09:{number_of_net}::{number}", prefix=64),
        ),
    )


class Host:
    """A host with the binder and containers, in place of an engine."""

    def __init__(self, state: Path, stack: ExitStack) -> None:
        self.binder = Bridge(BridgeOptions(deployment="test", state=str(state)))
        self.stack = stack
        self.binder.prepare()

    def space(self) -> lab.Space:
        return self.stack.enter_context(closing(lab.Space()))

    def container(self, net: Network, number: int) -> lab.Space:
        """What an engine does around `make`: move, name, address, routes."""
        space, plugged = self.space(), port(net, number)
        self.binder.wire(net)
        inner = self.binder.make(net, plugged)
        v4, v6 = plugged.fixed_ips
        lab.run(f"ip link set {inner} netns {space.pid}")
        space.run(
            f"ip link set {inner} name eth0; ip addr add {v4.address}/24 dev eth0;"
            f"ip addr add {v6.address}/64 dev eth0 nodad; ip link set eth0 up;"
            f"ip route add default via {net.subnets[0].gateway};"
            f"ip route add default via {net.subnets[1].gateway}"
        )
        return space

    def outside(self) -> lab.Space:
        """Another machine, reached through the host's uplink; it knows no way back to bridges."""
        space = self.space()
        lab.run(
            f"ip link add up0 type veth peer name up1; ip link set up1 netns {space.pid};"
            "ip addr add 192.0.2.1/24 dev up0; ip addr add 2001:db8::1/64 dev up0 nodad;"
            "ip link set up0 up; ip route add default via 192.0.2.2"
        )
        space.run(
            "ip addr add 192.0.2.2/24 dev up1; ip addr add 2001:db8::2/64 dev up1 nodad;"
            "ip link set up1 up"
        )
        return space


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with lab.host(), ExitStack() as stack:
        yield Host(tmp_path / "settings", stack)


def test_containers_of_a_network_reach_each_other(host: Host) -> None:
    one, two = host.container(network(1), 10), host.container(network(1), 11)
    with two.serve("10.9.1.11"), two.serve("fd09:1::11"):
        assert lab.called(one, "10.9.1.11") == "hello 10.9.1.10"
        assert lab.called(one, "fd09:1::11") == "hello fd09:1::10"
        assert lab.called(None, "10.9.1.11") == "hello 10.9.1.1", "the host may call a container"
        assert lab.called(None, "fd09:1::11") == "hello fd09:1::1"


def test_networks_do_not_see_each_other(host: Host) -> None:
    one, two = host.container(network(1), 10), host.container(network(2), 10)
    with two.serve("10.9.2.10"):
        assert lab.called(None, "10.9.2.10"), "it does answer"
        assert not lab.call(one, "10.9.2.10")
        assert not lab.ping(one, "10.9.2.10")
        assert not lab.ping(one, "fd09:2::10")


def test_a_container_may_only_ping_the_host(host: Host) -> None:
    one = host.container(network(1), 10)
    host.outside()
    for address in ("10.9.1.1", "fd09:1::1", "192.0.2.1", "2001:db8::1"):
        with lab.served(address):
            assert lab.called(None, address), "it does answer"
            assert not lab.call(one, address), address
        assert lab.pinged(one, address), address


def test_the_outside_is_reached_with_the_hosts_address(host: Host) -> None:
    outside = host.outside()
    one = host.container(network(1), 10)
    host.binder.prepare()
    with outside.serve("192.0.2.2"), outside.serve("2001:db8::2"):
        assert lab.called(one, "192.0.2.2") == "hello 192.0.2.1"
        assert lab.called(one, "2001:db8::2") == "hello 2001:db8::1"


def test_nobody_outside_calls_a_container(host: Host) -> None:
    outside = host.outside()
    one = host.container(network(1), 10)
    outside.run("ip route add 10.9.1.0/24 via 192.0.2.1")
    with one.serve("10.9.1.10"):
        assert lab.called(None, "10.9.1.10")
        assert not lab.call(outside, "10.9.1.10")


def test_a_container_can_be_nobody_else(host: Host) -> None:
    one, two = host.container(network(1), 10), host.container(network(1), 11)
    outside = host.outside()
    assert lab.pinged(one, "10.9.1.11")
    one.run("ip addr add 10.9.7.7/32 dev eth0")
    with lab.listen(outside, "192.0.2.2") as heard:
        for source in ("10.9.7.7", "10.9.1.10"):
            one.run(f"python3 -c '{lab.TELL}' {source} 192.0.2.2")
        assert heard() == "10.9.1.10", "what claims another address does not get out"
    one.run("ip link set eth0 address 02:00:00:00:01:0b")
    assert not lab.ping(one, "10.9.1.11"), "frames with another's MAC go nowhere"
    assert lab.pinged(two, "10.9.1.1")


def test_making_twice_and_unmaking_twice(host: Host) -> None:
    net, one = network(1), port(network(1), 10)
    host.binder.make(net, one)
    assert host.binder.bound().loose == {host.binder.port_name(one.uuid)}
    space = host.container(net, 10)
    bound = host.binder.bound()
    assert bound.ports == {host.binder.port_name(one.uuid)}
    assert not bound.loose
    assert bound.networks == {host.binder.network_name(net.uuid)}
    host.binder.unmake(one.uuid)
    host.binder.unmake(one.uuid)
    assert space.run("ip -br link").stdout.split()[0] == "lo"
    assert not host.binder.bound().ports


def test_a_reboot_is_healed_by_the_next_port(host: Host) -> None:
    net = network(1)
    host.binder.wire(net)
    host.binder.unwire(net.uuid)
    host.binder.unwire(net.uuid)
    assert not host.binder.bound().networks
    one = host.container(net, 10)
    assert lab.pinged(one, "10.9.1.1")


@pytest.mark.parametrize(
    "route", ["10.9.1.0/24", "10.9.1.128/25", "192.0.2.0/24 via 10.9.1.254 onlink"]
)
def test_the_hosts_own_routes_are_not_hidden(host: Host, route: str) -> None:
    lab.run("ip link add lan type veth peer name lan0; ip addr add 10.0.0.1/8 dev lan")
    lab.run(f"ip link set lan up; ip link set lan0 up; ip route add {route} dev lan")
    with pytest.raises(errors.Refused, match="pool_v4"):
        host.binder.wire(network(1))
    lab.run(f"ip route del {route} dev lan")
    host.binder.wire(network(1))
    host.binder.wire(network(1))


def test_sweeping_spares_a_bridge_in_use(host: Host) -> None:
    host.container(network(1), 10)
    name = host.binder.network_name(network(1).uuid)
    host.binder.sweep(name)
    host.binder.sweep("lo")
    assert host.binder.bound().networks == {name}
    host.binder.unmake(port(network(1), 10).uuid)
    host.binder.sweep(name)
    assert not host.binder.bound().networks
    assert "lo" in lab.run("ip -br link").stdout


def test_rules_that_somebody_flushed_come_back(host: Host) -> None:
    lab.run("nft flush ruleset")
    host.binder.prepare()
    assert host.binder.table in lab.run("nft list tables").stdout


def test_two_installations_leave_each_other_alone(host: Host, tmp_path: Path) -> None:
    other = Bridge(BridgeOptions(deployment="other", state=str(tmp_path / "other")))
    other.prepare()
    host.container(network(1), 10)
    assert other.bound().networks == frozenset()
    other.sweep(host.binder.network_name(network(1).uuid))
    other.release()
    assert host.binder.bound().ports
    assert host.binder.table in lab.run("nft list tables").stdout


def test_release_gives_the_host_back(host: Host) -> None:
    host.outside()
    lab.run("nft flush ruleset; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding")
    host.binder.release()
    rules, setting = lab.run("nft list ruleset").stdout, "net/ipv6/conf/up0/accept_ra"
    before = [forwarding.read(name) for name in (forwarding.V4, forwarding.V6, setting)]
    host.binder.prepare()
    assert forwarding.read(setting) == "2", "else the host would lose its own routes"
    host.binder.wire(network(1))
    host.binder.unwire(network(1).uuid)
    host.binder.release()
    assert [forwarding.read(name) for name in (forwarding.V4, forwarding.V6, setting)] == before
    assert lab.run("nft list ruleset").stdout == rules


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_room_beside_a_docker_that_drops(host: Host, backend: str) -> None:
    """A foreign Docker: FORWARD drops, and bridged frames are shown to the filter."""
    for tool in ("iptables", "ip6tables"):
        lab.run(
            f"{tool}-{backend} -N DOCKER-USER; {tool}-{backend} -A FORWARD -j DOCKER-USER;"
            f"{tool}-{backend} -P FORWARD DROP"
        )
    for name in ("iptables", "ip6tables"):
        forwarding_of_bridges = Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if forwarding_of_bridges.exists():
            forwarding_of_bridges.write_text("1")
    outside = host.outside()
    host.binder.prepare()
    one, two = host.container(network(1), 10), host.container(network(1), 11)
    assert lab.pinged(one, "10.9.1.11")
    assert lab.pinged(two, "fd09:1::10")
    assert lab.pinged(one, "192.0.2.2")
    assert outside.pid
    other = host.container(network(2), 10)
    assert not lab.ping(other, "10.9.1.10")
    before = lab.run(f"iptables-{backend}-save").stdout
    host.binder.prepare()
    assert (
        lab.run(f"iptables-{backend}-save").stdout.splitlines()[1:-1] == before.splitlines()[1:-1]
    )
    host.binder.release()
    assert "DOLIUM" not in lab.run(f"iptables-{backend}-save").stdout
    assert forwarding.read(forwarding.V4) == "1", "the other Docker goes on"
