"""The whole of Dolium on fakes, and the dice that play with it: users, time, faults, deaths."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Collection, Container, Sequence
from math import inf
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from dolium import conf, errors
from dolium.agent.core import Core
from dolium.control.containers import Containers
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.drivers.network.base import Driver
from dolium.link.local import LocalControl
from dolium.model import record
from dolium.model.container import ASKS, RestartPolicy, Spec, Verb
from dolium.model.context import Context
from dolium.model.host import Hello, Welcome
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.wish import Ack, Facts, Fate, Page
from dolium.store.hints import Hints
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from dolium.store.store import Tx
from tests.simulation.chaos import Chaos, Clock, ControlKilled
from tests.simulation.machines import DEPLOYMENT, STRANGER, Machine

T = TypeVar("T")

VERBS = (Verb.START, Verb.STOP, Verb.REBOOT, Verb.KILL, Verb.PAUSE, Verb.UNPAUSE)
LONGEST_WAIT_S = 35.0
"""More than any back-off after an error."""
MOST_STEPS = 200
LOOKS = 4
"""Quiet looks after which nothing more is going to be tidied."""
PROJECTS = ("p1", "p2")
CLOSED_ONCE = """
CREATE TRIGGER closed_once BEFORE UPDATE ON actions WHEN OLD.open = 0
BEGIN SELECT RAISE(ABORT, 'an action was closed twice'); END
"""
RETURNED_ONCE = """
CREATE TRIGGER used_{table} BEFORE UPDATE ON {table} WHEN NEW.used_cpu_m < 0
BEGIN SELECT RAISE(ABORT, 'more was given back than taken'); END
"""


class FlatNetwork(Driver):
    """One small network per project."""

    name = "flat"
    instant = True

    def network(self, project_id: str, taken: Collection[str]) -> Network:
        number = next(n for n in range(250) if f"10.0.{n}.0/24" not in taken)
        subnet = Subnet(
            uuid=f"s{number}", version=4, cidr=f"10.0.{number}.0/24", gateway=f"10.0.{number}.1"
        )
        return Network(
            uuid=str(uuids.uuid5(uuids.NAMESPACE_DNS, f"{project_id}-{number}")),
            project_id=project_id,
            name="default",
            driver="flat",
            subnets=(subnet,),
        )

    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        prefix = network.subnets[0].gateway.rpartition(".")[0]
        address = next(f"{prefix}.{n}" for n in range(2, 250) if f"{prefix}.{n}" not in taken)
        ip = FixedIp(subnet_id=network.subnets[0].uuid, version=4, address=address, prefix=24)
        return Port(
            uuid=str(uuids.uuid5(uuids.NAMESPACE_DNS, container_uuid)),
            network_uuid=network.uuid,
            container_uuid=container_uuid,
            mac="02:00:00:00:00:01",
            fixed_ips=(ip,),
        )

    def drop_port(self, port: Port) -> None:
        """Nothing was made outside."""

    def drop_network(self, network: Network) -> None:
        """Nothing was made outside."""


class FragileStore(Sqlite):
    """A store whose process may die before or after each commit, one for all schedules."""

    def __init__(self) -> None:
        super().__init__(None, threaded=False)
        self.chaos: Chaos | None = None
        self.write(lambda tx: metadata.create_all(tx.connection))
        self._trigger(CLOSED_ONCE)
        for table in ("hosts", "projects"):
            self._trigger(RETURNED_ONCE.format(table=table))
        self._empty = self._raw().serialize()

    def _trigger(self, text: str) -> None:
        self.write(lambda tx: tx.connection.execute(sa.text(text)))

    def _raw(self) -> Any:
        connection = self._writer.raw_connection()
        try:
            return connection.driver_connection
        finally:
            connection.close()

    def reset(self, chaos: Chaos) -> None:
        """Empty again, for the next schedule."""
        self.chaos = chaos
        self.hints = Hints()
        self._raw().deserialize(self._empty)

    def write(self, work: Callable[[Tx], T]) -> T:
        chaos = self.chaos
        if chaos is None or not chaos.chance(chaos.store_faults):
            return super().write(work)
        fate = chaos.rng.choice(["locked", "killed before", "killed after"])
        chaos.note(f"  commit: {fate}")
        if fate == "locked":
            raise errors.Unanswered(what="The database", why="simulated lock")
        if fate == "killed after":
            super().write(work)
        raise ControlKilled


class Link:
    """An agent's way to the control side, as bad as the dice want it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _carry(self, what: str, call: Callable[[LocalControl], T]) -> T:
        return cast("T", self._world.chaos.message(what, lambda: self._world.answer(call)))

    def hello(self, hello: Hello) -> Welcome:
        return self._carry("hello", lambda control: control.hello(hello))

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        return self._carry("wishes", lambda control: control.wishes(host, boot, since, 0))

    def post(self, facts: Facts) -> Ack:
        return self._carry("post", lambda control: control.post(facts))

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        return self._carry("fate", lambda control: control.fate(host, uuids))


class World:
    """One schedule's Dolium."""

    def __init__(self, seed: int, store: FragileStore, bad: dict[str, float] | None = None) -> None:
        self.chaos = Chaos(seed, bad)
        self.rng = self.chaos.rng
        self.clock = Clock()
        self.store = store
        store.reset(self.chaos)
        self.requests = 0
        self.last_id = ""
        self.signals = 0
        self.rebirth()
        hosts = self.rng.choice([1, 1, 2])
        self.machines = [Machine(f"h{n}", self.chaos, self.clock, Link(self)) for n in range(hosts)]
        self.downs = False
        """Whether an engine died or was taken down: what ended unseen before may come back."""
        self.policies: dict[str, str | None] = {}
        if self.rng.random() < 0.3:
            self.machines[0].plant()

    def rebirth(self) -> None:
        """A new process of the control side on the same database."""
        quota = conf.Quota(containers=6, cpu=-1, memory=-1, disk=-1)
        self.placer = Placer(self.store, self.clock, Networks(self.store, FlatNetwork()), self.rng)
        self.containers = Containers(
            self.store,
            self.clock,
            quota,
            self.rng,
            new_id=self._new_id,
            place=self.placer.follow if self.rng.random() < 0.5 else None,
        )
        self.hosts = Hosts(self.store, self.clock, conf.Placing(cpu_ratio=1.0), DEPLOYMENT)

    def _new_id(self) -> str:
        self.last_id = str(uuids.UUID(int=self.rng.getrandbits(128), version=4))
        return self.last_id

    def answer(self, call: Callable[[LocalControl], T]) -> T:
        """The control side's part of a call over the link; it may die of it."""
        try:
            return call(LocalControl(self.hosts))
        except ControlKilled:
            self.rebirth()
            raise errors.Unanswered(what="The control side", why="it died") from None

    def attempt(self, what: str, action: Callable[[], object]) -> None:
        """Something of the control side's own; it may die of it."""
        try:
            self.chaos.note(f"{what}: {action()}")
        except ControlKilled:
            self.rebirth()
        except errors.Error as error:
            self.chaos.note(f"{what}: {error}")

    # --- users -------------------------------------------------------------------------------

    def who(self, project: str = "p1") -> Context:
        """A user, with a request id of its own."""
        self.requests += 1
        return Context(
            user_id="u",
            project_id=project,
            request_id=f"req-{self.requests}",
            is_admin=True,
        )

    def rows(self) -> list[record.Container]:
        """All containers there are."""
        query = record.Query(all_projects=True)
        return self.containers.list(self.who(), query)

    def create(self) -> None:
        rng = self.rng
        policy = rng.choice([None, None, None, "always", "on-failure", "unless-stopped"])
        spec = Spec(
            image=rng.choice(["app"] * 9 + ["nosuch"]),
            command=rng.choice([["top"]] * 5 + [["sleep", "7"], ["false"], ["nosuch"]]),
            cpu=rng.choice([0.5, 1.0, 3.0]),
            restart_policy=RestartPolicy(name=policy, retries=rng.choice("03")) if policy else None,
            auto_heal=rng.random() < 0.3,
            auto_remove=policy is None and rng.random() < 0.1,
        )
        run, project = rng.random() < 0.8, rng.choice(PROJECTS)

        def ask() -> str:
            row = self.containers.create(self.who(project), "c", spec, run)
            return f"{row.uuid[:4]} run={run} {spec.command} {policy}"

        self.attempt("user creates", ask)
        self.policies[self.last_id] = policy

    def verb(self) -> None:
        rows = self.rows()
        if not rows:
            return
        row = self.rng.choice(rows)
        sensible = [verb for verb in VERBS if row.status in ASKS[verb].allowed]
        if not sensible and self.rng.random() < 0.9:
            return
        verb = self.rng.choice(sensible if sensible and self.rng.random() < 0.95 else VERBS)
        if Verb.KILL in sensible and self.rng.random() < self.chaos.signals:
            verb = Verb.KILL
        params: dict[str, Any] = {}
        if verb is Verb.KILL:
            self.signals += 1
            params = {"signal": self.rng.choice(["SIGKILL", f"SIGX{self.signals}"])}

        def ask() -> str:
            self.containers.ask(self.who(), row, verb, params)
            return row.uuid[:4]

        self.attempt(f"user: {verb} {params}", ask)

    def unpause(self, row: record.Container) -> None:
        self.containers.ask(self.who(), row, Verb.UNPAUSE, {})

    def resize(self) -> None:
        if rows := self.rows():
            row, cpu = self.rng.choice(rows), self.rng.choice([0.5, 1.0, 2.0, 9.0])
            self.attempt(
                f"user resizes {row.uuid[:4]} to {cpu}",
                lambda: self.containers.patch(self.who(), row, cpu=cpu).status,
            )

    def delete(self) -> None:
        if rows := self.rows():
            row, how = self.rng.choice(rows), self.rng.choice(["", "stop", "force", "force"])
            self.attempt(
                f"user deletes {row.uuid[:4]} {how}",
                lambda: self.containers.delete(
                    self.who(), row, force=how == "force", stop=how == "stop"
                ),
            )

    # --- the roles ---------------------------------------------------------------------------

    def place(self) -> None:
        self.attempt("placer", self.placer.turn)

    def step(self) -> None:
        machine = self.rng.choice(self.machines)
        machine.do("step", machine.step)

    def pull(self) -> None:
        self.rng.choice(self.machines).do("pull", lambda core: core.pull().revision)

    def post(self) -> None:
        self.rng.choice(self.machines).do("post", Core.post)

    def look(self) -> None:
        every = self.rng.random() < 0.3
        self.rng.choice(self.machines).do("look", lambda core: core.look(every=every))

    def wake(self) -> None:
        for machine in self.machines:
            if machine.core is None:
                self.chaos.note(f"{machine.name}: a new agent")
                machine.wake()

    # --- fate --------------------------------------------------------------------------------

    def end(self) -> None:
        machine = self.rng.choice(self.machines)
        alive = [b.name for b in machine.engine.boxes.values() if b.alive]
        if alive:
            name = self.rng.choice(alive)
            if machine.engine.boxes[name].labels.uuid != STRANGER:
                self.chaos.note(f"{name[7:11]} ends by itself")
                machine.engine.exit(name, self.rng.choice([0, 1]))

    def vanish(self) -> None:
        machine = self.rng.choice(self.machines)
        names = [b.name for b in machine.engine.boxes.values() if b.labels.uuid != STRANGER]
        if names and self.rng.random() < 0.3:
            name = self.rng.choice(names)
            self.chaos.note(f"{name[7:11]} vanishes")
            machine.engine.lose(name)

    def engine(self) -> None:
        machine = self.rng.choice(self.machines)
        if not machine.engine._down:
            survive = self.rng.random() < 0.5
            self.chaos.note(f"{machine.name}: the engine dies, containers live on: {survive}")
            machine.engine.crash(survive=survive)
            self.downs = True

    def recover(self) -> None:
        """What is down does not stay so for long."""
        for machine in self.machines:
            if machine.engine._down:
                self.chaos.note(f"{machine.name}: the engine is back")
                machine.engine.revive()
            machine.engine.registry_answers = True

    def forget(self) -> None:
        """Somebody removes a network from an engine."""
        engine = self.rng.choice(self.machines).engine
        used = {p.network.uuid for b in engine.boxes.values() if b.alive for p in b.plugs}
        idle = sorted(engine.networks.keys() - used)
        if idle:
            uuid = self.rng.choice(idle)
            self.chaos.note(f"network {uuid[:4]} is removed from the engine")
            engine.forget(uuid)

    def late(self) -> None:
        self.chaos.deliver()
        self.rng.choice(self.machines).engine.flush()

    def registry(self) -> None:
        engine = self.rng.choice(self.machines).engine
        engine.registry_answers = False

    def down_and_up(self) -> None:
        machine = self.rng.choice(self.machines)
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
        self.clock.time += span
        self.chaos.note(f"time passes: {self.clock.time - 1_800_000_000:.1f}")

    def beat(self) -> None:
        """What an agent does all the time."""
        machine = self.rng.choice(self.machines)
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
        (beat, 20),
        (step, 8),
        (pull, 2),
        (post, 3),
        (look, 2),
        (wake, 9),
        (end, 3),
        (vanish, 2),
        (engine, 2),
        (recover, 9),
        (forget, 2),
        (late, 2),
        (registry, 1),
        (down_and_up, 1),
        (time, 5),
    )

    def begin(self) -> None:
        """Hosts enrol and some containers run before things go wrong."""
        self.chaos.on = False
        for machine in self.machines:
            machine.do("pull", lambda core: core.pull().revision)
        for _ in range(self.rng.randint(1, 3)):
            self.create()
        self.place()
        for _ in range(self.rng.randint(0, 4)):
            self.beat()
        self.chaos.on = True

    def play(self, steps: int) -> None:
        """So many actions in an order of the dice."""
        actions = [action for action, _ in self.ACTIONS]
        weights = [weight for _, weight in self.ACTIONS]
        for action in self.rng.choices(actions, weights, k=steps):
            action(self)

    def calm(self, most: int = 9) -> None:
        """Faults end, and everything gets the time it needs."""
        self.chaos.on = False
        self.chaos.note("--- calm ---")
        self.chaos.deliver(len(self.chaos.delayed) // 2)
        for machine in self.machines:
            machine.engine.flush()
            machine.engine.registry_answers = True
            machine.engine.revive()
        self.wake()
        quiet = 0
        for count in range(most):  # a container that keeps failing never lets it become quiet
            if count == 2:  # the last messages of the bad times arrive when all seems well
                self.chaos.deliver(len(self.chaos.delayed))
            moved = self.placer.turn() > 0
            for machine in self.machines:
                moved |= self._round(machine)
            self.clock.time += LONGEST_WAIT_S
            quiet = 0 if moved else quiet + 1
            if quiet == LOOKS:
                return

    def _round(self, machine: Machine) -> bool:
        """What an agent does in a while; whether there was anything to do."""
        machine.do("pull", lambda core: core.pull().revision)
        core = machine.core
        assert core is not None
        taken = 0
        while machine.engine.news() or (core.agenda.next_at() or inf) <= self.clock.time:
            machine.do("step", machine.step)
            taken += 1
            if taken > MOST_STEPS:
                raise AssertionError(f"{machine.name} never comes to rest")
        machine.do("post", Core.post)
        machine.do("look", Core.look)
        return taken > 0
