"""Networks of containers that exist, with the test playing the host."""

import pytest
from msgspec import structs

from dolium import errors
from dolium.control.attachments import Which
from dolium.model.container import State, Verb
from dolium.model.host import Inventory
from tests.control.world import World

DEFAULT = Which(network="default")


def done(world: World, uuid: str, *, ok: bool = True) -> None:
    """The host has carried out what was asked."""
    seen = world.seen(uuid, State.RUNNING)
    world.post(world.fact(uuid, seen=seen, results=(world.done(uuid, ok=ok, message="why"),)))


def test_a_port_that_is_unplugged_stays_the_containers() -> None:
    world = World()
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    (port,) = world.wish(uuid).ports
    world.containers.detach(world.who(), row, DEFAULT)
    wish = world.wish(uuid)
    assert (wish.ports, wish.networks) == ((), ())
    assert [(c.verb, c.params) for c in wish.commands] == [
        (Verb.NETWORK_DETACH, {"network": port.network_uuid})
    ]
    done(world, uuid)
    world.running("other")  # gets another address
    world.containers.attach(world.who(), row, Which(port=port.uuid))
    wish = world.wish(uuid)
    assert wish.ports == (port,)
    assert [network.uuid for network in wish.networks] == [port.network_uuid]


def test_what_is_so_already_is_refused() -> None:
    world = World()
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    with pytest.raises(errors.Attached):
        world.containers.attach(world.who(), row, DEFAULT)
    world.containers.detach(world.who(), row, DEFAULT)
    with pytest.raises(errors.NotAttached):
        world.containers.detach(world.who(), row, DEFAULT)
    assert len(world.wish(uuid).commands) == 1


def test_others_networks_and_ports_are_not_there() -> None:
    world = World()
    mine, theirs = world.running(), world.running("other")
    row = world.containers.find(world.who(), mine)
    (port,) = world.wish(theirs).ports
    for which in (Which(port=port.uuid), Which(network="net-p2"), Which(network="nonet")):
        with pytest.raises(errors.NotFound):
            world.containers.detach(world.who(), row, which)


def test_what_never_got_a_host_is_on_no_network_yet() -> None:
    world = World()
    world.running()
    uuid = world.create("waits")
    row = world.containers.find(world.who(), uuid)
    with pytest.raises(errors.NotAttached):
        world.containers.detach(world.who(), row, DEFAULT)


def test_an_older_agent_is_not_asked_for_what_it_does_not_know() -> None:
    old = Inventory(hostname="host1", cpus=8, memory_mib=16384, disk_gib=100)
    world = World(inventory=old)
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    with pytest.raises(errors.Conflict, match="older Dolium"):
        world.containers.detach(world.who(), row, DEFAULT)
    assert world.wish(uuid).commands == ()
    world.inventory = structs.replace(old, verbs=tuple(Verb))
    world.hello("boot-2")
    world.containers.detach(world.who(), row, DEFAULT)
    assert len(world.wish(uuid).commands) == 1


def test_the_row_takes_its_unplugged_port_with_it() -> None:
    world = World()
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    world.containers.detach(world.who(), row, DEFAULT)
    done(world, uuid)
    world.containers.delete(world.who(), row, stop=True)
    world.post(world.fact(uuid, gone=True, results=(world.done(uuid),)))
    again = world.running("again")
    assert world.wish(again).ports[0].fixed_ips[0].address == "10.0.0.2"
