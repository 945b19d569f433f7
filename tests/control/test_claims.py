"""Placement as the arbiter: nothing runs without its word, nothing is left there or doubled."""

from __future__ import annotations

import random
import uuid as uuids
from collections.abc import Callable

import msgspec
import pytest

from dolium import conf, errors
from dolium.control import asking, claims
from dolium.control.asking import WAITS
from dolium.control.claims import AGAIN_S, GRACE_S, LOOK_S, YOUNG_S, Claims
from dolium.control.containers import Containers
from dolium.control.placer import Placer
from dolium.drivers.claim.base import Holding, Taking
from dolium.drivers.claim.fake import Fake
from dolium.model.container import State, Status
from dolium.model.host import Hello, Inventory
from dolium.model.placing import Amounts
from dolium.store import containers, hosts, networks, schema, settlements
from dolium.store.store import Tx
from tests.control.world import HOST, World

SMALL = Inventory(hostname=HOST, cpus=1, memory_mib=1536, disk_gib=10, runtimes=("runc",))
"""16 CPUs and 1536 MiB may be promised."""


class PlacementWorld(World):
    """Two conductors and an API on one database, and the Placement they ask."""

    def __init__(self, inventory: Inventory = SMALL, quota: conf.Quota | None = None) -> None:
        super().__init__(inventory=inventory, quota=quota)
        self.placement = Fake()
        self.placer = Placer(self.store, self.clock, self.networks, random.Random(1), asks=True)
        self.conductors = [self.conductor(1), self.conductor(2)]
        self.claims = self.conductors[0]
        quota = quota or conf.Quota()
        self.containers = Containers(
            self.store, self.clock, quota, random.Random(2), claims=self.conductor(3)
        )

    def conductor(self, seed: int) -> Claims:
        rng = random.Random(seed)
        return Claims(self.store, self.clock, rng, self.placement, conf.Placing())

    def host(self, name: str, *, compute_node: str = "", cpus: int = 1) -> None:
        inventory = Inventory(
            hostname=name,
            cpus=cpus,
            memory_mib=1536,
            disk_gib=10,
            runtimes=("runc",),
            compute_node=compute_node,
        )
        self.hosts.hello(Hello(host=name, boot=f"boot-{name}", inventory=inventory))

    def provider(self, host: str = HOST) -> str:
        with self.store.read() as connection:
            found = settlements.claimant(connection, host)
        assert found is not None
        return found.uuid

    def nova(self, provider: str, amounts: Amounts) -> str:
        server = str(uuids.uuid4())
        self.placement.consumers[server] = Holding(takings={provider: amounts}, turn=1, ours=False)
        return server

    def settle(self) -> None:
        """Until nobody has anything to do."""
        for _ in range(100):
            if not self.placer.turn() + sum(each.turn() for each in self.conductors):
                return
        raise AssertionError("there is always something to do")

    def later(self, seconds: float) -> None:
        self.clock.time += seconds

    def stage(self, uuid: str) -> str:
        with self.store.read() as connection:
            return containers.observed(connection, [uuid])[uuid].stage

    def reason(self, uuid: str) -> str | None:
        return self.containers.find(self.who(), uuid).status_reason

    def remove(self, uuid: str) -> None:
        """As a user and, if it has one, its host do it."""
        row = self.containers.find(self.who(), uuid)
        self.containers.delete(self.who(), row, force=True)
        with self.store.read() as connection:
            placed = containers.get(connection, uuid)
        if placed is not None:
            self.post(self.fact(uuid, generation=placed.generation, known=True, gone=True))

    def up(self, **spec: object) -> str:
        """One that runs."""
        uuid = self.create("c1", **spec)
        self.settle()
        self.post(self.fact(uuid, seen=self.seen(uuid, State.RUNNING), results=(self.done(uuid),)))
        assert self.status(uuid) == Status.RUNNING
        return uuid


def once(fate: str, verb: str) -> Callable[[str], str]:
    """The first such call meets this fate."""
    left = [fate]
    return lambda called: left.pop() if called == verb and left else "answer"


def test_a_host_sees_a_container_only_after_placement_has_agreed() -> None:
    world = PlacementWorld()
    uuid = world.create(cpu=0.5, memory="256")
    world.placer.turn()
    assert world.stage(uuid) == "asking"
    assert not world.hosts.wishes(HOST, world.boot, 0, 0).wishes
    world.claims.turn()
    assert [wish.uuid for wish in world.hosts.wishes(HOST, world.boot, 0, 0).wishes] == [uuid]
    taken = world.placement.consumers[uuid].takings
    assert taken == {world.provider(): Amounts(1000, 256, 0)}


def test_many_are_asked_for_in_one_request() -> None:
    world = PlacementWorld()
    made = [world.create(f"c{number}", memory="64", disk=1) for number in range(8)]
    world.settle()
    assert world.placement.calls.count("take") == 1
    assert world.placement.consumers.keys() == set(made)


def test_what_is_deleted_is_given_back() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    world.remove(uuid)
    world.settle()
    assert not world.placement.consumers


def test_what_was_never_placed_is_given_back_too() -> None:
    world = PlacementWorld()
    uuid = world.create(memory="64")
    world.placer.turn()
    world.placement.fate = once("lost", "take")
    world.claims.turn()
    assert uuid in world.placement.consumers
    world.remove(uuid)
    world.later(60)
    world.settle()
    assert not world.placement.consumers


def test_a_lost_answer_is_asked_for_again_and_takes_nothing_twice() -> None:
    world = PlacementWorld()
    del world.conductors[1]
    uuid = world.create(memory="64")
    world.placement.fate = once("lost", "take")
    world.settle()
    assert world.stage(uuid) == "asking"
    assert world.reason(uuid) == WAITS
    world.later(60)
    world.settle()
    assert world.stage(uuid) == "ready"
    assert world.reason(uuid) is None
    assert world.placement.used(world.provider()).memory_mib == 64


def test_while_placement_is_down_containers_wait_and_say_so() -> None:
    world = PlacementWorld()
    world.placement.fate = lambda verb: "away"
    first = world.create(memory="64")
    world.settle()
    second = world.create(memory="64")
    world.settle()
    assert [world.reason(uuid) for uuid in (first, second)] == [WAITS, WAITS]
    assert [world.status(uuid) for uuid in (first, second)] == [Status.CREATING] * 2
    calls = len(world.placement.calls)
    world.settle()
    assert len(world.placement.calls) <= calls + 1, "asking must become rarer"
    world.placement.fate = lambda verb: "answer"
    world.later(60)
    world.settle()
    assert [world.stage(uuid) for uuid in (first, second)] == ["ready", "ready"]


def test_who_is_refused_goes_elsewhere() -> None:
    world = PlacementWorld()
    world.host("host2", compute_node="nova2")
    world.placement.put("rp2", "nova2", Amounts(8000, 1024, 10))
    world.nova("rp2", Amounts(8000, 1024, 10))
    made = [world.create(f"c{number}", memory="128", disk=1) for number in range(6)]
    world.placer.turn()  # before anybody has looked at what Nova has
    with world.store.read() as connection:
        assert {one.host for one in settlements.asking(connection, 9)} == {HOST, "host2"}
    world.settle()
    assert {world.stage(uuid) for uuid in made} == {"ready"}
    with world.store.read() as connection:
        assert {row.host for row in containers.observed(connection, made).values()} == {HOST}
    assert world.placement.used("rp2") == Amounts(8000, 1024, 10)


def test_what_fits_nowhere_says_why() -> None:
    world = PlacementWorld()
    world.settle()
    world.nova(world.provider(), Amounts(1000, 1500, 1))
    uuid = world.create(memory="128")
    world.settle()
    assert world.status(uuid) == Status.ERROR
    assert "memory" in (world.reason(uuid) or "")


def test_what_nova_gives_back_is_seen_in_time() -> None:
    world = PlacementWorld()
    world.settle()
    server = world.nova(world.provider(), Amounts(1000, 1500, 1))
    world.later(2 * LOOK_S)
    world.settle()
    del world.placement.consumers[server]
    world.later(2 * LOOK_S)
    world.settle()
    uuid = world.create(memory="512")
    world.settle()
    assert world.stage(uuid) == "ready"


def test_a_refusal_that_nobody_understands_is_not_repeated_forever() -> None:
    world = PlacementWorld()

    def no(takings: list[Taking]) -> None:
        raise errors.Full(what="The host", why="no more than 1 VCPU each")

    world.settle()
    world.placement.take = no  # type: ignore[method-assign,assignment]
    uuid = world.create(memory="64")
    world.settle()
    assert world.status(uuid) == Status.ERROR
    assert "no more than 1 VCPU each" in (world.reason(uuid) or "")
    assert not world.placement.consumers


def test_a_shared_host_whose_compute_node_is_unknown_gets_nothing() -> None:
    world = PlacementWorld(msgspec.structs.replace(SMALL, compute_node="nova1"))
    uuid = world.create(memory="64")
    world.settle()
    assert world.status(uuid) == Status.ERROR
    world.placement.put("rp1", "nova1", Amounts(4000, 1024, 10))
    world.later(2 * LOOK_S)
    world.settle()
    uuid = world.create(memory="64")
    world.settle()
    assert world.placement.consumers[uuid].takings.keys() == {"rp1"}


def test_a_provider_of_its_name_that_is_not_its_own_gets_nothing() -> None:
    world = PlacementWorld()
    world.placement.put("stranger", HOST, Amounts(4000, 1024, 10))
    uuid = world.create(memory="64")
    world.settle()
    assert world.status(uuid) == Status.ERROR
    assert world.placement.rooms["stranger"] == Amounts(4000, 1024, 10)


def test_another_conductor_goes_on_where_one_was_killed() -> None:
    world = PlacementWorld()
    uuid = world.create(memory="64")
    world.placer.turn()

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    world.conductors[0]._agreed = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        world.conductors[0].turn()
    assert uuid in world.placement.consumers
    world.conductors.pop(0)
    world.settle()
    assert world.stage(uuid) == "ready"
    assert world.placement.used(world.provider()).memory_mib == 64


def test_what_comes_late_for_a_deleted_container_is_swept_in_the_end() -> None:
    world = PlacementWorld()
    uuid = world.create(memory="64")
    world.settle()
    late = world.placement.consumers[uuid]
    world.remove(uuid)
    world.settle()
    world.placement.consumers[uuid] = late
    stranger = world.nova(world.provider(), Amounts(1000, 64, 1))
    for _ in range(int(YOUNG_S / LOOK_S) - 2):
        world.later(LOOK_S)
        world.settle()
    assert uuid in world.placement.consumers, "it may be younger than it looks"
    for _ in range(4):
        world.later(LOOK_S)
        world.settle()
    assert world.placement.consumers.keys() == {stranger}


def test_what_the_database_does_not_know_is_left_alone() -> None:
    """A restored database knows nothing of newer containers, which may run."""
    world = PlacementWorld()
    world.settle()
    newer = world.nova(world.provider(), Amounts(1000, 64, 1))
    held = world.placement.consumers[newer]
    world.placement.consumers[newer] = Holding(takings=held.takings, turn=1, ours=True)
    for _ in range(2 * int(YOUNG_S / LOOK_S)):
        world.later(LOOK_S)
        world.settle()
    assert newer in world.placement.consumers


def test_what_somebody_took_away_is_given_again() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    del world.placement.consumers[uuid]
    world.later(2 * LOOK_S)
    world.settle()
    world.later(2 * GRACE_S)
    world.settle()
    assert world.placement.used(world.provider()).memory_mib == 64


def test_containers_from_before_get_their_allocations() -> None:
    world = PlacementWorld()
    alone = Placer(world.store, world.clock, world.networks, random.Random(1))
    uuid = world.create(cpu=0.5, memory="64")
    alone.turn()
    assert world.stage(uuid) == "ready"
    world.settle()
    world.later(2 * GRACE_S)
    world.settle()
    assert world.placement.consumers[uuid].takings == {world.provider(): Amounts(1000, 64, 0)}


def test_when_placement_is_not_asked_any_more_nobody_waits_for_it() -> None:
    world = PlacementWorld()
    world.placement.fate = lambda verb: "away"
    uuid = world.create(memory="64")
    world.settle()
    assert asking.agree(world.store, world.clock) == 1
    assert (world.stage(uuid), world.reason(uuid)) == ("ready", None)


# --- moving --------------------------------------------------------------------------------------


def test_a_moved_container_has_a_new_consumer_and_the_old_one_nothing() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    world.host("host2")
    move(world, uuid)
    world.settle()
    (name,) = world.placement.consumers
    assert name != uuid
    assert world.placement.consumers[name].takings.keys() == {world.provider("host2")}


def move(world: PlacementWorld, uuid: str) -> None:
    """As when its host is lost, and closed to new ones."""

    def work(tx: Tx) -> None:
        row = containers.hold(tx, [uuid])[uuid]
        new = {"host": None, "stage": "waiting", "addresses": b"null"}
        containers.change(tx, uuid, row.generation, new | {"generation": row.generation + 1})
        hosts.release(tx, uuid)
        networks.unplug(tx, uuid)
        tx.run(schema.hosts.update().where(schema.hosts.c.name == row.host).values(disabled=True))

    world.store.write(work)


# --- changing ------------------------------------------------------------------------------------


def patch(world: PlacementWorld, uuid: str, **values: str | float) -> None:
    row = world.containers.find(world.who(), uuid)
    world.containers.patch(world.who(), row, **values)  # type: ignore[arg-type]


def had(world: PlacementWorld, uuid: str) -> Amounts:
    return world.placement.consumers[uuid].takings[world.provider()]


def test_more_is_agreed_on_before_it_is_promised() -> None:
    world = PlacementWorld()
    uuid = world.up(cpu=1.0, memory="64")
    patch(world, uuid, memory="512")
    assert had(world, uuid) == Amounts(1000, 512, 0)
    patch(world, uuid, cpu=2.5)
    assert had(world, uuid) == Amounts(3000, 512, 0)


def test_less_is_given_back_afterwards() -> None:
    world = PlacementWorld()
    uuid = world.up(cpu=2.0, memory="512")
    patch(world, uuid, cpu=0.5, memory="64")
    assert had(world, uuid) == Amounts(2000, 512, 0)
    world.settle()
    world.later(2 * GRACE_S)
    world.settle()
    assert had(world, uuid) == Amounts(1000, 64, 0)


def test_more_that_placement_has_not_is_refused() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    world.nova(world.provider(), Amounts(1000, 1400, 1))
    with pytest.raises(errors.NoHost):
        patch(world, uuid, memory="512")
    assert had(world, uuid) == Amounts(1000, 64, 0)
    assert world.containers.find(world.who(), uuid).status == Status.RUNNING


def test_more_that_comes_to_nothing_is_given_back() -> None:
    world = PlacementWorld(quota=conf.Quota(memory=256))
    uuid = world.up(memory="64")
    with pytest.raises(errors.OverQuota):
        patch(world, uuid, memory="512")
    world.settle()
    world.later(2 * GRACE_S)
    world.settle()
    assert had(world, uuid) == Amounts(1000, 64, 0)


def test_more_while_placement_is_down_is_refused_for_now() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    world.placement.fate = lambda verb: "away"
    with pytest.raises(errors.Unanswered):
        patch(world, uuid, memory="512")
    world.placement.fate = once("lost", "change")
    with pytest.raises(errors.Unanswered):
        patch(world, uuid, memory="512")
    world.placement.fate = lambda verb: "answer"
    for _ in range(2):
        world.later(AGAIN_S)
        world.settle()
    assert had(world, uuid) == Amounts(1000, 64, 0)


def test_a_conductor_that_settles_meanwhile_stops_the_change() -> None:
    world = PlacementWorld()
    uuid = world.up(memory="64")
    growth = world.claims.grow(uuid, None, 512)
    assert growth is not None
    world.settle()
    world.later(2 * GRACE_S)
    world.settle()
    with pytest.raises(errors.Changed):
        world.store.write(lambda tx: claims.check(tx, growth))
    assert had(world, uuid) == Amounts(1000, 64, 0)
