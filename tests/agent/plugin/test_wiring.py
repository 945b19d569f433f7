"""Promises of a host: repeatable after any kill, and nothing left over."""

from typing import Any

import pytest

from dolium import errors
from dolium.agent.journal import Journal
from dolium.agent.plugin.ledger import Endpoint
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake as FakeEngine
from dolium.model.container import Spec, Wanted
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.wish import Wish

NET = "11111111-1111-4111-8111-111111111111"
BOX = "22222222-2222-4222-8222-222222222222"
PORT = "33333333-3333-4333-8333-333333333333"
NETWORK = Network(
    uuid=NET,
    project_id="p",
    name="default",
    driver="bridge",
    subnets=(Subnet(uuid="s", version=4, cidr="10.9.0.0/24", gateway="10.9.0.1"),),
)
THE_PORT = Port(
    uuid=PORT,
    network_uuid=NET,
    container_uuid=BOX,
    mac="02:00:00:00:00:05",
    fixed_ips=(FixedIp(subnet_id="s", version=4, address="10.9.0.5", prefix=24),),
)
WISH = Wish(
    uuid=BOX,
    project_id="p",
    name="web",
    generation=1,
    created_generation=1,
    wanted=Wanted.RUNNING,
    start_epoch=1,
    spec=Spec(image="busybox"),
    ports=(THE_PORT,),
    networks=(NETWORK,),
)


class World:
    """One host: what a kill leaves is the journal, the engine and the kernel."""

    def __init__(self) -> None:
        self.journal = Journal(None)
        self.binder = FakeBinder()
        self.engine = FakeEngine()
        self.wake()

    def wake(self) -> None:
        self.wiring = Wiring(self.journal, self.binder, self.engine, "dolium-x", "d1")

    def connect(self, docker_id: str = "e1") -> None:
        endpoint = Endpoint(network_uuid=NET, port=THE_PORT, container=BOX)
        self.wiring.ledger.connect(docker_id, endpoint)
        self.wiring.pairs.make(endpoint)

    def empty(self) -> bool:
        ledger = self.wiring.ledger
        return not any(
            (
                self.binder.ports,
                self.binder.networks,
                self.engine.networks,
                ledger.networks(),
                ledger.reservations(),
                ledger.endpoints(),
                ledger.addresses(),
                ledger.owed(),
            )
        )


@pytest.fixture
def world() -> World:
    return World()


def test_plug_makes_networks_known_once(world: World) -> None:
    first = world.wiring.plug(WISH)
    second = world.wiring.plug(WISH)
    assert world.engine.calls["wire"] == world.binder.calls["wire"] == 1
    assert first[0].token != second[0].token
    assert first[0].aliases == ("web", BOX)
    reserved = world.wiring.ledger.reserved(BOX)
    assert reserved is not None
    assert len(reserved.tokens) == 2
    assert first[0].token not in str(world.journal.all("port", dict)), "only its hash is kept"  # type: ignore[type-var]


def test_unplug_leaves_nothing_of_the_container(world: World) -> None:
    world.wiring.plug(WISH)
    world.connect()
    world.wiring.unplug(BOX)
    world.wiring.unplug(BOX)
    assert not world.binder.ports
    assert not world.wiring.ledger.endpoints()
    assert not world.wiring.ledger.addresses()


def test_a_binder_that_fails_is_tried_again(world: World) -> None:
    world.wiring.plug(WISH)
    world.connect()
    world.binder.fail("unmake", errors.DriverError(why="busy"))
    world.wiring.unplug(BOX)
    assert world.binder.ports
    world.wake()
    assert world.wiring.tidy(set(), set()) == [f"Unmade port {PORT}"]
    assert not world.binder.ports


def test_what_is_surplus_goes_after_two_looks(world: World) -> None:
    world.wiring.plug(WISH)
    world.connect()
    assert world.wiring.tidy({BOX}, {NET}) == []
    assert world.wiring.tidy(set(), set()) == []
    assert world.binder.ports
    world.wiring.tidy(set(), set())
    world.wiring.tidy(set(), set())
    world.wiring.tidy(set(), set())
    assert world.empty()


def test_a_wish_that_arrives_between_two_looks_is_safe(world: World) -> None:
    world.wiring.plug(WISH)
    world.wiring.tidy(set(), set())
    world.wiring.plug(WISH)
    world.connect()
    world.wiring.tidy(set(), set())
    assert world.binder.ports
    assert world.wiring.ledger.reserved(BOX) is not None


def test_a_lost_bridge_is_made_anew(world: World) -> None:
    world.wiring.plug(WISH)
    world.binder.reboot()
    assert "anew" in world.wiring.tidy({BOX}, {NET})[0]
    assert world.binder.networks


def test_a_late_end_of_the_old_endpoint_spares_the_new_one(world: World) -> None:
    world.wiring.plug(WISH)
    world.connect("e1")
    world.connect("e2")
    assert world.wiring.ledger.disconnect("e1") is None
    assert world.binder.ports
    world.wiring.tidy({BOX}, {NET})
    assert set(world.wiring.ledger.endpoints()) == {"e2"}


@pytest.mark.parametrize("engine_too", [True, False])
def test_release_leaves_nothing_on_the_host(world: World, engine_too: bool) -> None:
    world.wiring.plug(WISH)
    world.connect()
    (said,) = world.wiring.release(engine_too=engine_too)
    assert "plugged" in said
    world.wiring.ledger.disconnect("e1")
    assert world.wiring.release(engine_too=engine_too) == []
    assert not world.binder.networks
    assert not world.binder.ports
    assert bool(world.engine.networks) is not engine_too
    world.wiring.plug(WISH)
    assert world.engine.networks, "the next start goes on"


def test_release_goes_on_after_a_network_that_stays(world: World) -> None:
    world.wiring.plug(WISH)
    world.engine.fail("unwire", errors.Refused(why="in use"))
    (said,) = world.wiring.release(engine_too=True)
    assert "in use" in said


class Killed(BaseException):
    """The process ends here."""


def test_killed_anywhere_nothing_leaks(world: World) -> None:
    """Kill at every boundary of a driver, wake, finish, delete: the host is empty again."""
    for step in range(1, 60):
        countdown = [step]

        def hook(method: str, when: str, left: list[int] = countdown) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        def life(world: World) -> None:
            world.wiring.plug(WISH)
            world.wiring.arm(BOX)
            world.connect()
            world.wiring.tidy({BOX}, {NET})
            world.wiring.unplug(BOX)
            for _ in range(3):
                world.wiring.tidy(set(), set())

        world.binder.hook = world.engine.hook = hook
        try:
            life(world)
        except Killed:
            pass
        done: Any = countdown[0] > 0
        world.binder.hook = world.engine.hook = None
        world.wake()
        for _ in range(4):
            world.wiring.tidy(set(), set())
        assert world.empty(), step
        if done:
            break
    else:
        pytest.fail("never reached the end")
