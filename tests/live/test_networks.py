"""Networks with a real Docker Engine and the real kernel: who reaches whom, and what is left."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dolium.agent.journal import Journal
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.bridge import Bridge, BridgeOptions
from dolium.drivers.engine.base import Labels
from dolium.drivers.engine.docker import Docker, DockerOptions
from dolium.drivers.network.bridge import Bridge as Networks
from dolium.drivers.network.bridge import BridgeOptions as NetworkOptions
from dolium.model.container import Spec, Wanted
from dolium.model.network import Network
from dolium.model.wish import Wish
from tests import engines
from tests.drivers.binder import lab

pytestmark = pytest.mark.live

DEPLOYMENT = "networks-live"
PLUGIN = "dolium-live"
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000
SERVE = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo hello | nc -l -p 80; done"]
FETCH = "for i in 1 2 3; do nc -w 2 {} 80 | grep hello && break; sleep .2; done"
"""Tried for a while: `nc` may end well without a word."""


class Machine:
    """An engine, our plugin beside it, and the agent's side of networks."""

    def __init__(self, daemon: engines.Daemon) -> None:
        self.daemon = daemon
        self.journal = daemon.folder / "journal"
        self.binder = Bridge(
            BridgeOptions(deployment=DEPLOYMENT, state=str(daemon.folder / "kernel"))
        )
        self.engine = Docker(DockerOptions(socket=str(daemon.socket)))
        self.wiring = Wiring(Journal(self.journal), self.binder, self.engine, PLUGIN, DEPLOYMENT)
        self.networks = Networks(NetworkOptions(pool_v6="fd00:d011::/48"))
        self.known: dict[str, Network] = {}
        self.taken: dict[str, set[str]] = {}
        self.handles: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.binder.prepare()
        self.serve()

    # --- the plugin's process ------------------------------------------------------------------

    def serve(self) -> None:
        path = self.daemon.root / f"run/docker/plugins/{PLUGIN}.sock"
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.live.wired", str(self.journal)]
        self.process = subprocess.Popen(
            self.daemon.nsenter(
                *("env", f"PYTHONPATH={root}", *command),
                *(f"/run/docker/plugins/{PLUGIN}.sock", DEPLOYMENT, "command-line"),
            ),
            cwd=root,
        )
        engines.wait(lambda: _answers(path), "the plugin listens")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    # --- containers ------------------------------------------------------------------------------

    def network(self, project: str) -> Network:
        if project not in self.known:
            cidrs = [s.cidr for network in self.known.values() for s in network.subnets]
            self.known[project] = self.networks.network(project, cidrs)
        return self.known[project]

    def run(self, project: str, name: str, command: list[str] | None = None) -> "Box":
        """What an agent does for a wish."""
        network, container = self.network(project), str(uuid.uuid4())
        taken = self.taken.setdefault(project, set())
        port = self.networks.port(network, container, taken)
        taken |= {ip.address for ip in port.fixed_ips}
        wish = Wish(
            uuid=container,
            project_id=project,
            name=name,
            generation=1,
            created_generation=1,
            wanted=Wanted.RUNNING,
            start_epoch=1,
            spec=Spec(image="busybox:latest", command=command or SERVE),
            ports=(port,),
            networks=(network,),
        )
        labels = Labels(deployment=DEPLOYMENT, uuid=container, generation=1)
        plugs = self.wiring.plug(wish)
        handle = self.engine.create(f"dolium-{container}-1", wish.spec, plugs, labels)
        self.handles[container] = handle
        box = Box(self, wish, handle)
        box.start()
        return box

    def docker(self, *arguments: str) -> str:
        """What somebody at the command line gets."""
        return subprocess.run(
            ["docker", "-H", f"unix://{self.daemon.socket}", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    def remove(self) -> None:
        """All containers, as wishes would: engine first, then the promise."""
        for container, handle in self.handles.items():
            self.engine.stop(handle, 0)
            self.engine.remove(handle)
            self.wiring.unplug(container)
        self.handles.clear()


class Box:
    """One container."""

    def __init__(self, machine: Machine, wish: Wish, handle: str) -> None:
        self.machine, self.wish, self.handle = machine, wish, handle
        self.v4, self.v6 = (ip.address for ip in wish.ports[0].fixed_ips)

    def start(self) -> None:
        self.machine.wiring.arm(self.wish.uuid)
        self.machine.engine.start(self.handle)

    def says(self, command: str) -> str:
        done = self.machine.engine.execute(self.handle, ["sh", "-c", command], 30)
        return done.output.decode()

    def fetches(self, host: str) -> bool:
        """Whether a connection to port 80 brings the greeting, tried for a while."""
        return "hello" in self.says(FETCH.format(host))

    def pings(self, host: str) -> bool:
        return " 0% packet loss" in self.says(f"ping -c 1 -W 2 {host}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
    return True


def _enter(descriptor: int) -> None:
    """The calling thread in another network namespace, for good."""
    if _LIBC.setns(descriptor, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(descriptor)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if why := engines.missing("dockerd", "docker", "nft", "nsenter"):
        pytest.skip(why)
    with ExitStack() as stack:
        daemon = stack.enter_context(engines.docker_daemon())
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(daemon.root.parent / "ns/net", os.O_RDONLY)
        stack.callback(_enter, home)
        _enter(inside)
        made = Machine(daemon)
        stack.callback(made.kill)
        stack.callback(made.engine.close)
        stack.callback(made.remove)
        yield made


@pytest.fixture
def outside() -> Iterator[lab.Space]:
    """Another machine on the engine host's uplink."""
    with closing(lab.Space()) as space:
        lab.run(
            f"ip link add up0 type veth peer name up1; ip link set up1 netns {space.pid};"
            "ip addr add 192.0.2.1/24 dev up0; ip addr add 2001:db8::1/64 dev up0 nodad;"
            "ip link set up0 up"
        )
        space.run(
            "ip addr add 192.0.2.2/24 dev up1; ip addr add 2001:db8::2/64 dev up1 nodad;"
            "ip link set up1 up"
        )
        yield space
    lab.run("ip link del up0", check=False)


def test_containers_of_a_project_reach_each_other_by_address_and_name(machine: Machine) -> None:
    one, two = machine.run("a", "one"), machine.run("a", "two")
    engines.wait(lambda: one.fetches(two.v4), "it is reached")
    assert one.pings(two.v6)
    engines.wait(lambda: one.fetches("two"), "the user's name is an alias")
    assert one.pings(two.wish.uuid)
    assert two.v4 in two.says("ip addr show eth0")
    assert f"{two.v6}/64" in two.says("ip addr show eth0")
    assert "tentative" not in two.says("ip addr show eth0 | grep global")
    assert two.wish.ports[0].mac in two.says("ip link show eth0")


def test_projects_do_not_reach_each_other(machine: Machine) -> None:
    one, other = machine.run("a", "one"), machine.run("b", "other")
    engines.wait(lambda: lab.call(None, other.v4) == "hello", "the host may")
    assert not one.fetches(other.v4)
    assert not one.pings(other.v4)
    assert not one.pings(other.v6)
    assert not one.fetches("other")


def test_a_container_may_ping_the_host_and_no_more(machine: Machine) -> None:
    one = machine.run("a", "one")
    v4, v6 = (subnet.gateway for subnet in machine.network("a").subnets)
    assert one.pings(v4)
    assert one.pings(v6)
    with lab.served(v4):
        assert lab.call(None, v4).startswith("hello")
        assert not one.fetches(v4)


def test_the_world_is_reached_in_both_versions(machine: Machine, outside: lab.Space) -> None:
    one = machine.run("a", "one")
    with outside.serve("192.0.2.2"), outside.serve("2001:db8::2"):
        assert "hello 192.0.2.1" in one.says("nc -w 5 192.0.2.2 80")
        assert "hello 2001:db8::1" in one.says("nc -w 5 2001:db8::2 80")


def test_containers_outlive_the_plugin(machine: Machine) -> None:
    one, two = machine.run("a", "one"), machine.run("a", "two")
    machine.kill()
    engines.wait(lambda: one.fetches(two.v4), "it is reached")
    machine.serve()
    machine.engine.stop(one.handle, 5)
    assert machine.binder.port_name(one.wish.ports[0].uuid) not in machine.binder.bound().ports
    one.start()
    engines.wait(lambda: one.fetches(two.v4), "it is reached")
    assert one.v4 in one.says("ip addr show eth0")


def test_an_end_that_the_plugin_missed(machine: Machine) -> None:
    """Docker repeats calls that broke, but without their bodies: it forgets the endpoint and we
    do not. The next start takes the port over.
    """
    one, two = machine.run("a", "one"), machine.run("a", "two")
    old = set(machine.wiring.ledger.endpoints())
    pid = int(machine.docker("inspect", "-f", "{{.State.Pid}}", one.handle))
    machine.kill()
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)  # let Docker find nobody at the socket
    machine.serve()
    state = ("inspect", "-f", "{{.State.Running}}", one.handle)
    engines.wait(lambda: "false" in machine.docker(*state), "Docker noticed the end")
    one.start()
    engines.wait(lambda: one.fetches(two.v4), "it is reached")
    assert old & set(machine.wiring.ledger.endpoints()), "else this shows nothing"
    wished = {each.wish.uuid for each in (one, two)}
    for _ in range(2):
        machine.wiring.tidy(wished | set(machine.handles), set())
    assert len(machine.wiring.ledger.endpoints()) == len(machine.binder.bound().ports)
    engines.wait(lambda: one.fetches(two.v4), "it is reached")


def test_the_command_line(machine: Machine) -> None:
    served = machine.run("command-line", "served")
    network = f"dolium-{machine.network('command-line').uuid}"
    said = machine.docker("run", "--rm", "--net", network, "busybox", "ip", "addr")
    assert machine.network("command-line").subnets[0].cidr[:-4] in said
    asked = ("run", "--rm", "--net", network, "busybox", "sh", "-c", FETCH.format(served.v4))
    engines.wait(lambda: "hello" in machine.docker(*asked), "it is reached")
    other = machine.run("a", "other")
    elsewhere = f"dolium-{machine.network('a').uuid}"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        machine.docker("run", "--rm", "--net", elsewhere, "busybox", "true")
    assert "another project" in refused.value.stderr
    with pytest.raises(subprocess.CalledProcessError) as refused:
        machine.docker("restart", "-t", "0", other.handle)
    assert "container API" in refused.value.stderr


def test_nothing_is_left(machine: Machine) -> None:
    machine.run("a", "one")
    machine.remove()
    for _ in range(3):
        machine.wiring.tidy(set(), set())
    assert machine.engine.wired(DEPLOYMENT) == []
    links = lab.run("ip -br link").stdout.split()
    assert not [name for name in links if name.startswith("dol")]
    assert machine.wiring.release(engine_too=True) == []
    assert "dolium" not in lab.run("nft list ruleset").stdout
    machine.binder.prepare()
