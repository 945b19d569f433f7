"""Capsules on the control side: placed, counted, changed and deleted as one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dolium import conf, errors
from dolium.control import parts
from dolium.control.capsules import Capsules, Template
from dolium.control.parts import Capsule
from dolium.model import capsule
from dolium.model.capsule import Part
from dolium.model.container import RestartPolicy, Spec, State, Verb
from dolium.model.host import Inventory
from dolium.model.placing import Amounts
from dolium.model.wish import Fact
from dolium.store import capsules as store
from dolium.store import hosts, projects
from tests.control.test_claims import SMALL, PlacementWorld
from tests.control.world import HOST, World

BIG = Inventory(
    hostname=HOST, cpus=1, memory_mib=1536, disk_gib=10, runtimes=("runc",), capsules=True
)


def template(*memories: int, inits: tuple[int, ...] = (), **more: object) -> Template:
    def some(amounts: tuple[int, ...]) -> list[Spec]:
        return [Spec(image="cirros", cpu=0.5, memory=str(each)) for each in amounts]

    known = {
        **{"name": "pod", "labels": None, "annotations": None, "availability_zone": None},
        "restart_policy": RestartPolicy(name="always"),
    }
    return Template(inits=some(inits), containers=some(memories), **known | more)  # type: ignore[arg-type]


def read(world: World, uuid: str) -> Capsule:
    with world.store.read() as connection:
        return parts.read(connection, uuid)


def gone(world: World, uuid: str) -> bool:
    with world.store.read() as connection:
        return not store.parts(connection, [uuid])


def used(world: World) -> Amounts:
    with world.store.read() as connection:
        host = hosts.get(connection, HOST)
    assert host is not None
    return Amounts(host.used_cpu_m, host.used_memory_mib, host.used_disk_gib)


def quota(world: World) -> tuple[int, int, int]:
    with world.store.read() as connection:
        found = projects.used(connection, "p1")
    return found.containers, found.cpu_m, found.memory_mib


def gone_facts(world: World, found: Capsule) -> list[Fact]:
    return [world.fact(row.uuid, generation=2, gone=True) for row in reversed(found.parts)]


def test_all_of_it_gets_one_host_and_one_claim() -> None:
    world = World()
    made = world.capsules.create(world.who(), template(100, 200, inits=(64, 512)))
    assert [row.host for row in made.parts] == [None] * 5
    assert not world.pull().wishes
    assert world.placer.turn() == 1
    wishes = {wish.uuid: wish for wish in world.pull().wishes}
    assert wishes.keys() == {row.uuid for row in made.parts}
    assert used(world) == Amounts(1000, 512, 0)
    assert quota(world) == (4, 1000, 512)
    first, second = (row.uuid for row in made.inits)
    told = {uuid: wish.belongs for uuid, wish in wishes.items()}
    mine = told[made.sandbox.uuid]
    assert mine is not None
    assert mine.part is Part.SANDBOX
    assert set(mine.parts) == wishes.keys() - {made.sandbox.uuid}
    after = {uuid: each.after for uuid, each in told.items() if each}
    assert after[first] == after[made.sandbox.uuid] == ()
    assert after[second] == (first,)
    assert all(after[row.uuid] == (first, second) for row in made.containers)
    with_port = [uuid for uuid, wish in wishes.items() if wish.ports]
    assert with_port == [made.sandbox.uuid]


def test_it_is_deleted_with_all_it_had() -> None:
    world = World()
    made = world.capsules.create(world.who(), template(100, 200))
    world.placer.turn()
    world.capsules.delete(world.who(), made)
    assert capsule.state(read(world, made.sandbox.uuid).parts) is capsule.State.DELETING
    world.capsules.delete(world.who(), made)  # twice is once
    world.post(*gone_facts(world, made))
    assert gone(world, made.sandbox.uuid)
    assert (used(world), quota(world)) == (Amounts(), (0, 0, 0))


def test_before_it_has_a_host_it_is_gone_at_once() -> None:
    world = World()
    made = world.capsules.create(world.who(), template(100, inits=(10,)))
    world.capsules.delete(world.who(), made)
    assert gone(world, made.sandbox.uuid)
    assert quota(world) == (0, 0, 0)


def test_where_no_host_takes_capsules_it_says_so() -> None:
    world = World(inventory=replace(BIG, capsules=False))
    made = world.capsules.create(world.who(), template(100))
    world.placer.turn()
    found = read(world, made.sandbox.uuid)
    assert capsule.state(found.parts) is capsule.State.ERROR
    assert "does not take capsules" in (capsule.reason(found.parts) or "")
    with world.store.read() as connection:
        assert not connection.exec_driver_sql("SELECT id FROM actions WHERE open").all()


def test_more_for_one_is_claimed_for_all_or_refused() -> None:
    world = World(inventory=BIG, quota=conf.Quota(memory=1200))
    made = world.capsules.create(world.who(), template(100, 200, inits=(250,)))
    world.placer.turn()
    row = made.containers[0]
    started = world.fact(
        row.uuid, seen=world.seen(row.uuid, State.RUNNING), results=(world.done(row.uuid),)
    )
    world.post(started)
    running = world.containers.find(world.who(), row.uuid)
    world.containers.patch(world.who(), running, memory="300", cpu=1.0)
    assert used(world) == Amounts(1500, 500, 0)
    assert quota(world) == (3, 1500, 500)
    assert world.wish(row.uuid).commands[-1].verb is Verb.UPDATE
    with pytest.raises(errors.OverQuota):
        world.containers.patch(world.who(), running, memory="1100")
    world.containers.patch(world.who(), running, memory="10")  # an init container needs more
    assert used(world) == Amounts(1500, 250, 0)
    assert read(world, made.sandbox.uuid).spec.memory == "250"


@pytest.mark.parametrize("verb", [Verb.START, Verb.STOP, Verb.REBOOT, Verb.KILL, Verb.PAUSE])
def test_one_alone_is_not_changed(verb: Verb) -> None:
    world = World()
    made = world.capsules.create(world.who(), template(100))
    row = made.containers[0]
    with pytest.raises(errors.Conflict, match="belongs to capsule"):
        world.containers.ask(world.who(), row, verb, {})


def test_nobody_elses_is_found() -> None:
    world = World()
    made = world.capsules.create(world.who(), template(100))
    for ident in (made.sandbox.uuid, "pod"):
        with pytest.raises(errors.NotFound):
            world.capsules.find(world.who("p2"), ident)
        assert world.capsules.find(world.who("p2", admin=True), ident).sandbox == made.sandbox
    with pytest.raises(errors.NotFound):  # one of its containers is no capsule
        world.capsules.find(world.who(), made.containers[0].uuid)


def test_a_runtime_that_lets_nothing_be_shared_is_refused() -> None:
    world = World()
    api = Capsules(world.store, world.clock, conf.Quota(), tenant_runtime="runsc")
    with pytest.raises(errors.Conflict, match="Containers run with runsc here"):
        api.create(world.who(), template(100))
    assert quota(world) == (0, 0, 0)


# --- where Placement has the last word ---------------------------------------------------------


@pytest.fixture
def placement() -> PlacementWorld:
    world = PlacementWorld(replace(SMALL, capsules=True))
    world.capsules = Capsules(world.store, world.clock, conf.Quota())
    return world


def test_nothing_of_it_is_seen_before_placement_has_agreed(placement: PlacementWorld) -> None:
    made = placement.capsules.create(placement.who(), template(100, 200))
    placement.placer.turn()
    assert not placement.pull().wishes
    placement.claims.turn()
    assert {wish.uuid for wish in placement.pull().wishes} == {row.uuid for row in made.parts}
    assert placement.placement.consumers.keys() == {made.sandbox.uuid}
    row = made.containers[0]
    seen = placement.seen(row.uuid, State.RUNNING)
    placement.post(placement.fact(row.uuid, seen=seen, results=(placement.done(row.uuid),)))
    running = placement.containers.find(placement.who(), row.uuid)
    placement.containers.patch(placement.who(), running, memory="400")
    taken = placement.placement.consumers[made.sandbox.uuid].takings[placement.provider()]
    assert taken == Amounts(1000, 600, 0)


def test_what_placement_refuses_is_an_error_of_all_of_it(placement: PlacementWorld) -> None:
    placement.settle()
    placement.nova(placement.provider(), Amounts(0, 1500, 0))
    made = placement.capsules.create(placement.who(), template(100, 200))
    placement.settle()
    found = read(placement, made.sandbox.uuid)
    assert {row.status for row in found.parts} == {"Error"}
    assert {row.host for row in found.parts} == {None}
    placement.capsules.delete(placement.who(), found)
    assert gone(placement, made.sandbox.uuid)
