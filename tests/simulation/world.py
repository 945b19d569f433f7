"""The whole of Dolium on fakes, and the dice that play with it: users, time, faults, deaths."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable
from math import inf
from typing import Any, TypeVar

from dolium import errors
from dolium.agent.core import Core
from dolium.link.local import LocalControl
from dolium.model import record
from dolium.model.container import ASKS, Verb
from dolium.model.context import Context
from tests.simulation import absence, capsules, users
from tests.simulation.absence import TICK_S, Switch
from tests.simulation.chaos import Chaos, ControlKilled, Wire
from tests.simulation.control import FragileStore, Outside, Process
from tests.simulation.link import Link
from tests.simulation.machines import STRANGER, Machine

T = TypeVar("T")

HOSTS = (1, 2, 2, 3, 3, 4, 5)
PROCESSES = (2, 2, 3)
"""Of the control side, where there is more than one host."""
LONGEST_WAIT_S = 35.0
"""More than any back-off after an error."""
MOST_STEPS = 200
LOOKS = 4
"""Quiet looks after which nothing more is going to be tidied."""
PROJECTS = ("p1", "p2")
LEASE_S = 30


class World:
    """One schedule's Dolium."""

    def __init__(self, seed: int, store: FragileStore, bad: dict[str, float] | None = None) -> None:
        self.chaos = Chaos(seed, bad)
        self.rng = self.chaos.rng
        self.clock = self.chaos.time
        self.store = store
        store.reset(self.chaos)
        self.asked: dict[str, float] = {}
        """When each request was made, in true time."""
        self.signals = 0
        self._racing = False
        self.downs = False
        """Whether an engine died or was taken down: what ended unseen before may come back."""
        self.policies: dict[str, str | None] = {}
        """The restart policy of each container that was asked for."""
        self.policy: str | None = None
        """Of what is made next."""
        self.capsule_of: dict[str, str] = {}
        """Of each container that belongs to one."""
        self.gone: set[str] = set()
        """Hosts declared gone, whose containers may live elsewhere although they live there."""
        self.absent = "watch" in self.chaos.bad
        """Whether hosts fall silent and conductors do something about it."""
        promise = self.absent and self.rng.random() < self.chaos.bad.get("promise", 0.5)
        self.lease_s = LEASE_S if promise else 0
        hosts = self.rng.choice(HOSTS) + self.absent
        processes = self.rng.choice(PROCESSES) if hosts > 1 else 1
        outside = Outside(
            new_id=self._new_id,
            heal_id=self._heal_id,
            fence=Switch(self),
            others=self._others,
            between=self._between,
            moved=self._moved,
        )
        self.processes = [Process(f"c{n}", self.chaos, store, outside) for n in range(processes)]
        self.machines = [self._machine(f"h{n}") for n in range(hosts)]
        self.chaos.note(f"{hosts} hosts, {processes} processes, what goes wrong: {self.chaos.bad}")
        if self.rng.random() < 0.3:
            self.machines[0].plant()

    def _machine(self, name: str) -> Machine:
        wire = Wire(self.chaos, name)
        return Machine(name, self.chaos, wire, Link(self, wire), self.lease_s)

    def _new_id(self) -> str:
        uuid = str(uuids.UUID(int=self.rng.getrandbits(128), version=4))
        self.policies[uuid] = self.policy
        return uuid

    def _heal_id(self) -> str:
        uuid = str(uuids.UUID(int=self.rng.getrandbits(128), version=4))
        self.asked[f"req-{uuid}"] = self.clock.at
        return uuid

    def _moved(self, uuid: str, host: str) -> None:
        """A container of a lost host is about to be made anew elsewhere."""
        self.chaos.note(f"  {uuid[:4]} is made anew, {host} is lost")
        ((proof, held),) = self.store.rows("SELECT proof, held FROM hosts WHERE name = ?", host)
        if proof is None or held:
            raise AssertionError(f"{uuid[:4]} is made anew: proof {proof}, held {held}")
        machine = next(machine for machine in self.machines if machine.name == host)
        live = [box for box in machine.engine.boxes.values() if box.alive]
        if host not in self.gone and uuid in {box.labels.uuid for box in live}:
            raise AssertionError(f"{uuid[:4]} is made anew while it lives on {host}")

    def process(self) -> Process:
        """Any of the control side's processes."""
        return self.rng.choice(self.processes)

    def answer(self, call: Callable[[LocalControl], T]) -> T:
        """The control side's part of a call over the link; the process may die of it."""
        process = self.process()
        try:
            return call(LocalControl(process.hosts))
        except ControlKilled:
            process.rebirth()
            raise errors.Unanswered(what="The control side", why="it died") from None

    def attempt(self, what: str, action: Callable[[Process], object]) -> None:
        """Something that a process of the control side does; it may die of it."""
        self.by(self.process(), what, action)

    def by(self, process: Process, what: str, action: Callable[[Process], object]) -> None:
        """The same of this one."""
        try:
            self.chaos.note(f"{process.name} {what}: {action(process)}")
        except ControlKilled:
            process.rebirth()
        except errors.Error as error:
            self.chaos.note(f"{process.name} {what}: {error}")

    def _others(self, process: Process) -> None:
        """What goes on in the midst of a transaction of one process."""
        self._race(World.resize, World.resize, World.delete, World.create, World.place)

    def _between(self, process: Process) -> None:
        """What goes on between a look of one process and what it writes then."""
        back = absence.come_back
        self._race(back, back, back, absence.judge, absence.fence, absence.heal, World.delete)

    def _race(self, *actions: Callable[[World], None]) -> None:
        if self._racing or not self.chaos.chance(self.chaos.races):
            return
        self._racing = True
        self.chaos.note("  meanwhile:")
        try:
            for _ in range(self.rng.randint(1, 3)):
                self.rng.choice(actions)(self)
        finally:
            self._racing = False

    # --- users -------------------------------------------------------------------------------

    def who(self, project: str = "p1") -> Context:
        """A user, with a request id of its own."""
        request_id = f"req-{len(self.asked) + 1}"
        self.asked[request_id] = self.clock.at
        return Context(user_id="u", project_id=project, request_id=request_id, is_admin=True)

    def rows(self) -> list[record.Container]:
        """All containers there are."""
        query = record.Query(all_projects=True)
        return self.process().containers.list(self.who(), query)

    def create(self) -> None:
        rng = self.rng
        spec = users.wished(rng, self.chaos.bad.get("groups", 0.4), 0.7 if self.absent else 0.3)
        policy = spec.restart_policy.name if spec.restart_policy else None
        run, project = rng.random() < 0.8, rng.choice(PROJECTS)

        def ask(process: Process) -> str:
            row = process.containers.create(self.who(project), "c", spec, run)
            return f"{row.uuid[:4]} run={run} {spec.command} {policy} {spec.hints}"

        self.policy = policy
        self.attempt("user creates", ask)

    def verb(self) -> None:
        if not (rows := self.rows()):
            return
        row = self.rng.choice(rows)
        sensible = [verb for verb in users.VERBS if row.status in ASKS[verb].allowed]
        if not sensible and self.rng.random() < 0.9:
            return
        verb = self.rng.choice(sensible if sensible and self.rng.random() < 0.95 else users.VERBS)
        if Verb.KILL in sensible and self.rng.random() < self.chaos.signals:
            verb = Verb.KILL
        params: dict[str, Any] = {}
        if verb is Verb.KILL:
            self.signals += 1
            params = {"signal": self.rng.choice(["SIGKILL", f"SIGX{self.signals}"])}

        def ask(process: Process) -> str:
            process.containers.ask(self.who(), row, verb, params)
            return row.uuid[:4]

        self.attempt(f"user: {verb} {params}", ask)

    def remake(self) -> None:
        if not (rows := self.rows()):
            return
        row, verb = self.rng.choice(rows), self.rng.choice(users.REMAKES)

        def ask(process: Process) -> str:
            users.remake(process.containers, self.who(), row, verb)
            return row.uuid[:4]

        self.attempt(f"user: {verb}", ask)

    def unpause(self, row: record.Container) -> None:
        """Where nothing else would be allowed."""
        self.process().containers.ask(self.who(), row, Verb.UNPAUSE, {})

    def resize(self) -> None:
        if rows := [row for row in self.rows() if row.host] or self.rows():
            row, cpu = self.rng.choice(rows), self.rng.choice([0.5, 1.0, 2.0, 4.0, 9.0])
            self.attempt(
                f"user resizes {row.uuid[:4]} to {cpu}",
                lambda process: process.containers.patch(self.who(), row, cpu=cpu).status,
            )

    def delete(self) -> None:
        if rows := self.rows():
            row, how = self.rng.choice(rows), self.rng.choice(["", "stop", "force", "force"])
            self.attempt(
                f"user deletes {row.uuid[:4]} {how}",
                lambda process: process.containers.delete(
                    self.who(), row, force=how == "force", stop=how == "stop"
                ),
            )

    def machine(self) -> Machine:
        """Any host, those with something on them more often than not."""
        busy = [machine for machine in self.machines if machine.engine.boxes or machine.known]
        return self.rng.choice(busy if busy and self.rng.random() < 0.7 else self.machines)

    # --- the roles ---------------------------------------------------------------------------

    def place(self) -> None:
        self.attempt("placer", Process.place)

    def sweep(self) -> None:
        self.attempt("sweeper", Process.sweep)

    def step(self) -> None:
        machine = self.machine()
        machine.do("step", machine.step)

    def pull(self) -> None:
        self.machine().do("pull", lambda core: core.pull().revision)

    def post(self) -> None:
        self.machine().do("post", Core.post)

    def look(self) -> None:
        every = self.rng.random() < 0.3
        self.machine().do("look", lambda core: core.look(every=every))

    def wake(self) -> None:
        for machine in self.machines:
            if machine.core is None and machine.on:
                self.chaos.note(f"{machine.name}: a new agent")
                machine.wake()

    # --- fate --------------------------------------------------------------------------------

    def end(self) -> None:
        machine = self.machine()
        alive = [b.name for b in machine.engine.boxes.values() if b.alive]
        if alive:
            name = self.rng.choice(alive)
            if machine.engine.boxes[name].labels.uuid != STRANGER:
                self.chaos.note(f"{name[7:11]} ends by itself")
                machine.engine.exit(name, self.rng.choice([0, 1]))

    def vanish(self) -> None:
        machine = self.machine()
        names = [b.name for b in machine.engine.boxes.values() if b.labels.uuid != STRANGER]
        if names and self.rng.random() < 0.3:
            name = self.rng.choice(names)
            self.chaos.note(f"{name[7:11]} vanishes")
            machine.engine.lose(name)

    def die(self) -> None:
        machine = self.machine()
        if machine.on and not machine.engine._down:
            survive = self.rng.random() < 0.5
            self.chaos.note(f"{machine.name}: the engine dies, containers live on: {survive}")
            machine.engine.crash(survive=survive)
            self.downs = True

    def recover(self) -> None:
        """What is down does not stay so for long."""
        for machine in self.machines:
            if machine.on and machine.engine._down:
                self.chaos.note(f"{machine.name}: the engine is back")
                machine.engine.revive()
            machine.engine.registry_answers = True

    def forget(self) -> None:
        """Somebody removes a network from an engine."""
        engine = self.machine().engine
        used = {p.network.uuid for b in engine.boxes.values() if b.alive for p in b.plugs}
        idle = sorted(engine.networks.keys() - used)
        if idle:
            uuid = self.rng.choice(idle)
            self.chaos.note(f"network {uuid[:4]} is removed from the engine")
            engine.forget(uuid)

    def late(self) -> None:
        self.chaos.deliver()
        self.machine().engine.flush()

    def registry(self) -> None:
        engine = self.machine().engine
        engine.registry_answers = False

    def cut(self) -> None:
        """Some hosts lose sight of the control side, and do not get it back soon."""
        state = self.rng.choice(Wire.STATES)
        some = self.rng.sample(self.machines, self.rng.randint(1, len(self.machines)))
        self.chaos.note(f"links of {[machine.name for machine in some]} are {state}")
        for machine in some:
            machine.wire.state = state

    def mend(self) -> None:
        """One host, or all of them, see the control side again."""
        some = self.machines if self.rng.random() < 0.5 else [self.machine()]
        self.chaos.note(f"links of {[machine.name for machine in some]} are whole")
        for machine in some:
            machine.wire.state = "whole"

    def power(self) -> None:
        """A machine starts again as a whole."""
        machine = self.machine()
        if not machine.on:
            return
        self.chaos.note(f"{machine.name}: the machine starts again")
        machine.lose_power()
        self.downs = True

    def snapshot(self) -> None:
        machine = self.machine()
        self.chaos.note(f"{machine.name}: a backup of the agent's disk")
        machine.snapshot = machine.journal.copy()

    def restore(self) -> None:
        machine = self.machine()
        if machine.snapshot and not self.lease_s:  # a promise is for what the journal knows
            self.chaos.note(f"{machine.name}: the agent's disk is as in the backup")
            machine.roll_back()
            self.downs = True

    def jump(self) -> None:
        all_of_them: list[Machine | Process] = [*self.machines, *self.processes]
        who = self.rng.choice(all_of_them)
        self.chaos.note(f"{who.name}: the clock jumps by {who.clock.jump():.0f} s")

    def down_and_up(self) -> None:
        machine = self.machine()
        if machine.core is not None and self.rng.random() < 0.2:
            machine.engine.stopping = "rest"
            machine.do("rests", Core.rest)
            machine.engine.stopping = "stop"
            machine.core = None
            self.downs = True

    def time(self) -> None:
        span = self.rng.choice([0.1, 1.0, 5.0, 20.0, 60.0])
        if span > 10.0:
            for machine in self.machines:  # no engine is as slow as that
                machine.engine.flush()
        self.elapse(span)

    def elapse(self, span: float) -> None:
        """Time passes; who has promised something keeps it meanwhile."""
        while span > 0.0:
            self.clock.at += min(span, TICK_S) if self.lease_s else span
            span = span - TICK_S if self.lease_s else 0.0
            for machine in self.machines:
                machine.guard()
        self.chaos.note(f"time passes: {self.clock.at - 1_800_000_000:.1f}")

    def beat(self) -> None:
        """What an agent does all the time."""
        machine = self.machine()
        machine.do("pull", lambda core: core.pull().revision)
        for _ in range(self.rng.randint(1, 4)):
            machine.do("step", machine.step)
        machine.do("post", Core.post)

    ACTIONS: tuple[tuple[Callable[[World], None], int], ...] = (
        (create, 3),
        (verb, 16),
        (resize, 1),
        (delete, 2),
        (place, 4),
        (beat, 24),
        (step, 8),
        (pull, 2),
        (post, 3),
        (look, 2),
        (wake, 9),
        (end, 3),
        (vanish, 2),
        (die, 2),
        (recover, 9),
        (forget, 2),
        (late, 2),
        (registry, 1),
        (down_and_up, 1),
        (cut, 1),
        (mend, 4),
        (power, 1),
        (snapshot, 1),
        (restore, 0),
        (jump, 1),
        (sweep, 1),
        (time, 5),
        (absence.watch, 0),
        (absence.judge, 0),
        (absence.fence, 0),
        (absence.heal, 0),
        (absence.off, 0),
        (absence.on, 0),
        (absence.tell, 0),
        (absence.lie, 0),
        (remake, 6),
        (capsules.capsule, 0),
        (capsules.uncapsule, 0),
        (capsules.prepare, 0),
    )
    """What happens, and how often; a profile (chaos.py) may give a row another weight."""

    def begin(self) -> None:
        """Hosts enrol and some containers run before things go wrong."""
        self.chaos.on = False
        for machine in self.machines:
            machine.do("pull", lambda core: core.pull().revision)
        for _ in range(self.rng.randint(1, 3) + len(self.machines) // 2):
            self.create()
        self.place()
        for _ in range(self.rng.randint(0, 4) * len(self.machines)):
            self.beat()
        self.chaos.on = True

    def play(self, steps: int) -> None:
        """So many actions in an order of the dice."""
        actions = [action for action, _ in self.ACTIONS]
        weights = [self.chaos.bad.get(action.__name__, often) for action, often in self.ACTIONS]
        for action in self.rng.choices(actions, weights, k=steps):
            action(self)

    def calm(self, most: int = 9) -> None:
        """Faults end, and everything gets the time it needs."""
        self.chaos.on = False
        self.chaos.note("--- calm ---")
        self.chaos.deliver(len(self.chaos.delayed) // 2)
        for machine in self.machines:
            machine.wire.state = "whole"
            if not machine.on:
                machine.start()
            if self.absent:
                self.process().services.force_down(machine.name, False)
            machine.engine.flush()
            machine.engine.registry_answers = True
            machine.engine.revive()
        self.wake()
        quiet = 0
        for count in range(most):  # a container that keeps failing never lets it become quiet
            if count == 2:  # the last messages of the bad times arrive when all seems well
                self.chaos.deliver(len(self.chaos.delayed))
                absence.on(self)  # one of them may have turned a machine off
            if self.absent and count < 4:
                absence.settle(self)
            moved = self.process().place() > 0
            for machine in self.machines:
                moved |= self._round(machine)
            self.clock.at += LONGEST_WAIT_S
            quiet = 0 if moved else quiet + 1
            if quiet == LOOKS:
                break
        self.gone.clear()

    def _round(self, machine: Machine) -> bool:
        """What an agent does in a while; whether there was anything to do."""
        machine.do("pull", lambda core: core.pull().revision)
        core = machine.core
        assert core is not None
        if self.lease_s:
            core.keep_promise()  # what was stopped for a lease comes back
        taken = 0
        while machine.engine.news() or (core.agenda.next_at() or inf) <= machine.clock.monotonic():
            machine.do("step", machine.step)
            taken += 1
            if taken > MOST_STEPS:
                raise AssertionError(f"{machine.name} never comes to rest")
        machine.do("post", Core.post)
        machine.do("look", Core.look)
        return taken > 0
