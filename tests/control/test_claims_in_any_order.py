"""Claims in any order: never more than there is, nothing without Placement's word, nothing left."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dolium import errors
from dolium.control import claims
from dolium.control.claims import LOOK_S
from dolium.model.container import State, Status
from dolium.model.placing import Amounts
from dolium.store import containers, hosts, schema, settlements
from tests.control.test_claims import PlacementWorld, patch
from tests.control.world import HOST


class Anything(RuleBasedStateMachine):
    """Users, Nova, two conductors that are killed anywhere, and a Placement that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.world = PlacementWorld()
        self.world.host("host2", compute_node="nova2")
        self.world.placement.put("rp2", "nova2", Amounts(4000, 1024, 10))
        self.fates: Iterator[str] = iter(())
        self.world.placement.fate = lambda verb: next(self.fates, "answer")
        self.servers: list[str] = []

    @initialize()
    def look(self) -> None:
        self.world.settle()

    @property
    def made(self) -> list[str]:
        with self.world.store.read() as connection:
            rows = connection.execute(schema.containers.select()).all()
        return sorted(row.uuid for row in rows)

    @rule(memory=st.sampled_from(["64", "300", "700"]), cpu=st.sampled_from([0.5, 1.0, 3.0]))
    def create(self, memory: str, cpu: float) -> None:
        try:
            self.world.create(memory=memory, cpu=cpu, disk=1)
        except errors.OverQuota:
            pass

    @rule(provider=st.sampled_from([0, 1]), memory=st.sampled_from([100, 500]))
    def nova_takes(self, provider: int, memory: int) -> None:
        placement = self.world.placement
        name = "rp2" if provider else self.world.provider()
        room, used = placement.rooms[name], placement.used(name)
        if used.memory_mib + memory <= room.memory_mib and used.cpu_m + 1000 <= room.cpu_m:
            self.servers.append(self.world.nova(name, Amounts(1000, memory, 0)))

    @precondition(lambda self: self.servers)
    @rule()
    def nova_gives_back(self) -> None:
        del self.world.placement.consumers[self.servers.pop()]

    @rule(which=st.integers(0, 20))
    def remove(self, which: int) -> None:
        made = self.made
        if not made:
            return
        uuid = made[which % len(made)]
        row = self.world.containers.find(self.world.who(), uuid)
        if row.host in (None, HOST):
            self.world.remove(uuid)

    @rule(which=st.integers(0, 20), memory=st.sampled_from(["32", "200", "900"]))
    def resize(self, which: int, memory: str) -> None:
        made = self.made
        if made:
            self._run(made[which % len(made)])
            try:
                patch(self.world, made[which % len(made)], memory=memory)
            except errors.Error:
                pass

    def _run(self, uuid: str) -> None:
        """Its host says so."""
        row = self.world.containers.find(self.world.who(), uuid)
        if row.host == HOST and self.world.stage(uuid) == "ready" and row.status == "Creating":
            world = self.world
            fact = world.fact(uuid, seen=world.seen(uuid, State.RUNNING), results=())
            world.post(fact)
            values = {"status": Status.RUNNING.value}
            world.store.write(lambda tx: containers.observe(tx, uuid, values))

    @rule(fates=st.lists(st.sampled_from(["answer", "away", "lost"]), max_size=6))
    def trouble(self, fates: list[str]) -> None:
        self.fates = iter(fates)

    @rule()
    def place(self) -> None:
        self.world.placer.turn()

    @rule(which=st.sampled_from([0, 1]), anew=st.booleans())
    def conduct(self, which: int, anew: bool) -> None:
        if anew:  # it was killed after what it did last
            self.world.conductors[which] = self.world.conductor(which)
        self.world.conductors[which].turn()

    @rule(which=st.sampled_from([0, 1]), steps=st.integers(0, 6))
    def killed(self, which: int, steps: int) -> None:
        """A conductor is killed after so many calls of Placement."""
        left = [steps]

        def fate(verb: str) -> str:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return next(self.fates, "answer")

        before, self.world.placement.fate = self.world.placement.fate, fate
        try:
            self.world.conductors[which].turn()
        except KeyboardInterrupt:
            self.world.conductors[which] = self.world.conductor(which)
        finally:
            self.world.placement.fate = before

    @rule(seconds=st.sampled_from([1.0, 30.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.world.later(seconds)

    @invariant()
    def never_more_than_there_is(self) -> None:
        placement = self.world.placement
        for name, room in placement.rooms.items():
            used = placement.used(name)
            assert used.memory_mib <= room.memory_mib
            assert used.cpu_m <= room.cpu_m
            assert used.disk_gib <= room.disk_gib

    @invariant()
    def what_hosts_see_placement_has_agreed_to(self) -> None:
        with self.world.store.read() as connection:
            asked = {
                claim.container_uuid: claim
                for host in (HOST, "host2")
                for claim in settlements.of_host(connection, host)
                if claim.stage == "ready"
            }
            rows = containers.observed(connection, [*asked])
        for uuid, claim in asked.items():
            if rows[uuid].wanted != "Deleted":  # which may never have been agreed to
                self._covered(claim)

    def _covered(self, claim: settlements.Asked) -> None:
        held = self.world.placement.consumers[claim.consumer]
        provider = "rp2" if claim.host == "host2" else self.world.provider()
        assert held.takings[provider].memory_mib >= claim.memory_mib
        assert held.takings[provider].cpu_m >= claim.cpu_m

    def teardown(self) -> None:
        """In quiet, Placement has exactly what the claims say, and what Nova took."""
        self.fates = iter(())
        for _ in range(16):
            self.world.later(LOOK_S * 1.25)
            self.world.settle()
        with self.world.store.read() as connection:
            asked = [
                claim for host in (HOST, "host2") for claim in settlements.of_host(connection, host)
            ]
            assert not settlements.pending(connection, "", 9)
            assert not settlements.asking(connection, 9)
            claimed = {claim.container_uuid for claim in hosts.claimed(connection)}
        assert claimed == {claim.container_uuid for claim in asked}
        ours = {claim.consumer: claims._amounts(claim) for claim in asked}
        held = self.world.placement.consumers
        assert held.keys() == ours.keys() | set(self.servers)
        for name, amounts in ours.items():
            assert list(held[name].takings.values()) == [amounts]


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
