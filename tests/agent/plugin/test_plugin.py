"""Tokens, addresses and ends, as Docker meets them."""

import json
from typing import Any

import pytest
from msgspec import structs

from dolium import errors
from dolium.agent.journal import Journal
from dolium.agent.plugin.plugin import Plugin
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.base import Plug
from dolium.drivers.engine.fake import Fake as FakeEngine
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.wish import Wish
from tests.agent.plugin.docker import Docker
from tests.agent.plugin.test_wiring import BOX, NET, WISH

LOCAL = Subnet(
    uuid="s",
    version=4,
    cidr="10.9.0.0/24",
    gateway="10.9.0.1",
    local=("10.9.0.192", "10.9.0.195"),
)
SIX = Subnet(uuid="s6", version=6, cidr="fd00:9::/64", gateway="fd00:9::1")
NETWORK = Network(uuid=NET, project_id="p", name="default", driver="bridge", subnets=(LOCAL, SIX))
PORT = Port(
    uuid="33333333-3333-4333-8333-333333333333",
    network_uuid=NET,
    container_uuid=BOX,
    mac="02:00:00:00:00:05",
    fixed_ips=(
        FixedIp(subnet_id="s", version=4, address="10.9.0.5", prefix=24),
        FixedIp(subnet_id="s6", version=6, address="fd00:9::5", prefix=64),
    ),
)
THE_WISH: Wish = structs.replace(WISH, ports=(PORT,), networks=(NETWORK,))
POOL = f"{NET}/4"


class World:
    """One host, and a Docker that lives longer than its agent."""

    def __init__(self, project: str = "p") -> None:
        self.journal, self.binder, self.engine = Journal(None), FakeBinder(), FakeEngine()
        self.project = project
        self.wake()
        self.docker = Docker(self.plugin)

    def wake(self) -> None:
        """The agent starts (again)."""
        self.wiring = Wiring(self.journal, self.binder, self.engine, "dolium-x", "d1")
        self.plugin = Plugin(self.wiring.ledger, self.wiring.pairs, self.project)
        if hasattr(self, "docker"):
            self.docker.plugin = self.plugin

    def plug(self) -> Plug:
        (plug,) = self.wiring.plug(THE_WISH)
        if NET not in self.docker.networks:
            self.docker.create_network(NETWORK)
        return plug

    def ask(self, address: str = "", pool: str = POOL, **options: str) -> str:
        request = {"PoolID": pool, "Address": address, "Options": options or None}
        answer = self.docker.call("IpamDriver.RequestAddress", request)
        return str(answer["Address"])

    def endpoint(self, docker_id: str, address: str, **options: Any) -> dict[str, Any]:
        """A command-line user's endpoint."""
        interface = {"Address": f"{address}/24", "AddressIPv6": "", "MacAddress": ""}
        request = {"NetworkID": self.docker.networks[NET], "EndpointID": docker_id}
        call = {**request, "Interface": interface, "Options": options}
        return self.docker.call("NetworkDriver.CreateEndpoint", call)


@pytest.fixture
def world() -> World:
    return World()


# --- containers of the API -----------------------------------------------------------------------


def test_a_container_lives(world: World) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    world.docker.start(plug)
    assert list(world.binder.ports.values()) == [PORT]
    world.docker.stop(plug)
    assert not world.binder.ports
    world.wiring.arm(BOX)
    world.docker.start(plug)
    assert world.binder.ports
    world.docker.stop(plug)
    world.wiring.unplug(BOX)
    assert not world.wiring.ledger.addresses()
    assert not world.wiring.ledger.owed()


def test_a_token_is_good_once_for_each_time_it_was_armed(world: World) -> None:
    plug = world.plug()
    with pytest.raises(errors.Refused, match="not to be plugged now"):
        world.docker.start(plug)
    world.wiring.arm(BOX)
    world.docker.start(plug)
    with pytest.raises(errors.Refused, match="not to be plugged now"):
        world.docker.start(plug)


def test_a_container_made_before_a_crash_keeps_its_token(world: World) -> None:
    made_with = world.plug()
    world.wake()
    world.plug()
    world.wiring.arm(BOX)
    world.docker.start(made_with)
    assert world.binder.ports


@pytest.mark.parametrize("token", ["guessed", ""])
def test_a_wrong_token(world: World, token: str) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    with pytest.raises(errors.Refused, match="token"):
        world.docker.start(structs.replace(plug, token=token))
    world.docker.start(plug)


def test_a_reserved_port_without_a_token_is_nobodys(world: World) -> None:
    world.plug()
    world.wiring.arm(BOX)
    assert world.ask("10.9.0.5") == "10.9.0.5/24"
    with pytest.raises(errors.Refused):
        world.endpoint("e", "10.9.0.5")


def test_another_mac_than_the_ports(world: World) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    request = {
        "NetworkID": world.docker.networks[NET],
        "EndpointID": "e",
        "Interface": {"Address": "10.9.0.5/24", "MacAddress": "02:00:00:00:00:66"},
        "Options": {"dolium.token": plug.token},
    }
    with pytest.raises(errors.Refused, match="MAC"):
        world.docker.call("NetworkDriver.CreateEndpoint", request)
    world.docker.start(plug)


def test_the_same_endpoint_twice(world: World) -> None:
    """After a crash Docker may repeat what was done, with the same id."""
    plug = world.plug()
    world.wiring.arm(BOX)
    request = {
        "NetworkID": world.docker.networks[NET],
        "EndpointID": "e",
        "Interface": {"Address": "10.9.0.5/24", "AddressIPv6": "fd00:9::5/64"},
        "Options": {"dolium.token": plug.token},
    }
    first = world.docker.call("NetworkDriver.CreateEndpoint", request)
    world.wake()
    assert world.docker.call("NetworkDriver.CreateEndpoint", request) == first
    assert first == {"Interface": {"MacAddress": PORT.mac}}
    joined = world.docker.call("NetworkDriver.Join", request)
    assert joined["Gateway"] == "10.9.0.1"
    assert joined["GatewayIPv6"] == "fd00:9::1"
    assert joined["DisableGatewayService"] is True
    assert world.docker.call("NetworkDriver.Join", request) == joined


def test_a_join_that_fails_leaves_nothing(world: World) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    world.binder.fail("make", errors.DriverError(why="no memory"), after=True)
    with pytest.raises(errors.Refused, match="no memory"):
        world.docker.start(plug)
    assert not world.binder.ports
    world.wiring.arm(BOX)
    world.docker.start(plug)


def test_an_end_that_fails_is_finished_later(world: World) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    world.docker.start(plug)
    world.binder.fail("unmake", errors.Unanswered(what="kernel", why="busy"), times=2)
    world.docker.stop(plug)
    assert world.binder.ports
    world.wake()
    world.wiring.tidy({BOX}, {NET})
    assert not world.binder.ports


def test_a_late_chore_spares_the_next_start(world: World) -> None:
    plug = world.plug()
    world.wiring.arm(BOX)
    world.docker.start(plug)
    world.binder.fail("unmake", errors.DriverError(why="busy"), times=2)
    world.docker.stop(plug)
    world.wiring.arm(BOX)
    world.docker.start(plug)
    world.wiring.tidy({BOX}, {NET})
    assert world.binder.ports


def test_a_lost_journal_is_written_anew_and_the_networks_found(world: World) -> None:
    world.plug()
    networks = world.docker.networks
    world.journal = Journal(None)
    world.wake()
    (plug,) = world.wiring.plug(THE_WISH)
    world.wiring.arm(BOX)
    world.docker.start(plug)
    assert world.docker.networks is networks
    assert world.binder.ports


# --- the command line ------------------------------------------------------------------------


def test_the_command_line_gets_the_hosts_own_range(world: World) -> None:
    world.plug()
    got = [world.ask() for _ in range(4)]
    assert got == [f"10.9.0.{number}/24" for number in (192, 193, 194, 195)]
    with pytest.raises(errors.Refused, match="used up"):
        world.ask()
    request = {"PoolID": POOL, "Address": "10.9.0.194"}
    world.docker.call("IpamDriver.ReleaseAddress", request)
    assert world.ask() == "10.9.0.194/24"


def test_what_was_given_back_rests(world: World) -> None:
    world.plug()
    assert world.ask() == "10.9.0.192/24"
    world.docker.call("IpamDriver.ReleaseAddress", {"PoolID": POOL, "Address": "10.9.0.192"})
    assert world.ask() == "10.9.0.193/24"


def test_a_command_line_container_lives(world: World) -> None:
    world.plug()
    address = world.ask().partition("/")[0]
    mac = world.endpoint("e", address)["Interface"]["MacAddress"]
    assert mac.startswith("02:")
    world.docker.call("NetworkDriver.Join", {"EndpointID": "e"})
    (port,) = world.binder.ports.values()
    assert port.mac == mac
    for _ in range(3):
        world.wiring.tidy(set(), set())
    assert world.binder.ports, "plugged: stays, and its network too"
    assert world.binder.networks
    world.docker.call("NetworkDriver.Leave", {"EndpointID": "e"})
    world.docker.call("NetworkDriver.DeleteEndpoint", {"EndpointID": "e"})
    world.docker.call("IpamDriver.ReleaseAddress", {"PoolID": POOL, "Address": address})
    assert not world.binder.ports
    for _ in range(3):
        world.wiring.tidy(set(), set())
    assert not world.binder.networks
    assert not world.wiring.ledger.addresses()


@pytest.mark.parametrize("lost", ["lose", "loosen"])
def test_a_command_line_container_whose_end_nobody_told(world: World, lost: str) -> None:
    world.plug()
    world.endpoint("e", world.ask().partition("/")[0])
    world.docker.call("NetworkDriver.Join", {"EndpointID": "e"})
    (port,) = world.binder.ports.values()
    getattr(world.binder, lost)(port.uuid)
    world.wiring.tidy({BOX}, {NET})
    world.wiring.tidy({BOX}, {NET})
    assert not world.wiring.ledger.endpoints()
    assert not world.binder.ports
    assert all(held.container for held in world.wiring.ledger.addresses().values())


def test_an_address_nobody_came_for(world: World) -> None:
    world.plug()
    world.ask()
    assert world.wiring.tidy({BOX}, {NET}) == []
    assert "10.9.0.192" in world.wiring.tidy({BOX}, {NET})[0]


@pytest.mark.parametrize("project", ["", "another"])
def test_the_command_line_of_others_gets_nothing(project: str) -> None:
    world = World(project)
    plug = world.plug()
    with pytest.raises(errors.Refused):
        world.ask()
    with pytest.raises(errors.Refused):
        world.endpoint("e", "10.9.0.193")
    world.wiring.arm(BOX)
    world.docker.start(plug)


@pytest.mark.parametrize("address", ["10.9.0.6", "10.9.0.1", "10.8.0.1"])
def test_addresses_the_command_line_cannot_have(world: World, address: str) -> None:
    world.plug()
    with pytest.raises(errors.Refused):
        world.ask(address)


# --- the protocol ----------------------------------------------------------------------------


def test_a_call_without_its_body_fails_under_both_keys(world: World) -> None:
    world.plug()
    _, body = world.plugin.answer("IpamDriver.RequestAddress", b"")
    answer = json.loads(body)
    assert answer["Err"] == answer["Error"] != ""
    assert not [h for h in world.wiring.ledger.addresses().values() if not h.container]


def test_unknown_calls_and_unreadable_bodies(world: World) -> None:
    assert world.plugin.answer("NetworkDriver.AllocateNetwork", b"{}")[0] == 404
    assert json.loads(world.plugin.answer("IpamDriver.RequestPool", b"[")[1])["Error"]


def test_ends_of_what_never_was(world: World) -> None:
    for method in (
        "NetworkDriver.Leave",
        "NetworkDriver.DeleteEndpoint",
        "NetworkDriver.DeleteNetwork",
        "NetworkDriver.RevokeExternalConnectivity",
        "IpamDriver.ReleaseAddress",
        "IpamDriver.ReleasePool",
    ):
        assert world.docker.call(method, {"EndpointID": "x", "Address": "10.0.0.1"}) == {}
        assert world.plugin.answer(method, b"") == (200, b"{}")


def test_networks_only_of_ours(world: World) -> None:
    world.wiring.plug(THE_WISH)
    for options in ({}, {"dolium.network": "x"}):
        with pytest.raises(errors.Refused):
            world.docker.call("IpamDriver.RequestPool", {"Pool": "10.0.0.0/8", "Options": options})
    right = {"dolium.network": NET}
    with pytest.raises(errors.Refused):
        world.docker.call("IpamDriver.RequestPool", {"Pool": "10.0.0.0/8", "Options": right})
    pool = world.docker.call("IpamDriver.RequestPool", {"Pool": "", "Options": right, "V6": True})
    assert pool["Data"] == {"com.docker.network.gateway": "fd00:9::1/64"}
    generic = {"Options": {"com.docker.network.generic": right}}
    checked = world.docker.call("NetworkDriver.GwAllocCheck", generic)
    assert checked == {"SkipIPv4": False, "SkipIPv6": False}


def test_a_network_that_docker_forgot_is_made_known_again(world: World) -> None:
    world.plug()
    world.docker.call("NetworkDriver.DeleteNetwork", {"NetworkID": world.docker.networks[NET]})
    world.wiring.plug(THE_WISH)
    assert world.engine.calls["wire"] == 2
