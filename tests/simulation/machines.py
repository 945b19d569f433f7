"""A host of the simulation: engine, kernel and journal outlive the agent on top of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from dolium import errors
from dolium.agent.core import Core, Options
from dolium.agent.inventory import Place
from dolium.agent.plugin.ledger import Endpoint, digest
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.base import Labels, Plug
from dolium.drivers.engine.fake import Box, Fake, FakeOptions, Image
from dolium.link.base import Control
from dolium.model.container import Spec, engine_name
from tests.simulation.chaos import Chaos, Clock, FragileJournal, Killed, Wire

DEPLOYMENT = "d0000000-0000-4000-8000-000000000000"
STRANGER = "e0000000-0000-4000-8000-000000000000"
"""A container of our deployment that no store has heard of: a restored database."""
NOBODY = ""
"""Whose a sandbox is that was made before anybody wanted it."""
SIZES = (2, 4, 4, 8)
"""Cores of machines."""
ZONES = ("nova", "nova", "other")
RACKS = ("r1", "r1", "r2", "r3")
GROUPS: tuple[dict[str, str], ...] = (
    {"group": "apart", "anti_affinity": "node"},
    {"group": "racks", "anti_affinity": "rack"},
    {"group": "near", "affinity": "rack", "soft_anti_affinity": "node"},
    {"group": "soft", "soft_anti_affinity": "rack"},
    {"group": "even"},
)
"""Of each project. All of one group are under its rules, so that these hold at any time."""


class Engine(Fake):
    """The fake engine, sometimes slow: a call goes unanswered and has its effect later.

    As real ones do, it takes orders about one container one after another, so a late one
    comes before the next.
    """

    def __init__(self, chaos: Chaos, clock: Clock) -> None:
        cpus = chaos.rng.choice(SIZES)
        super().__init__(FakeOptions(cpus=cpus, memory_mib=cpus * 1024), clock)
        self._chaos = chaos
        self._late: list[tuple[str, Callable[[], object]]] = []
        self._cause = "own"
        self.stopping = "stop"
        """What a stop is for: stop, or rest on an orderly down."""
        self.ends: dict[str, list[str]] = {}
        """Why each container's process ended, by uuid, in order."""
        self.codes: dict[str, int] = {}
        """And with which code it ended last."""
        self.broke_off = False
        """True while nobody has listened since the engine died."""
        self.begun: list[tuple[str, float]] = []
        """Each start that happened: uuid and true time."""
        self.witness: Callable[[str], None] = lambda uuid: None
        """Told of each start at once."""
        self.signals: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def flush(self, name: str | None = None) -> None:
        """Let late orders (about one container) have their effect."""
        due = [each for each in self._late if name in (None, each[0])]
        self._late = [each for each in self._late if each not in due]
        hook, self.hook = self.hook, None
        for _, call in due:
            try:
                call()
            except errors.DriverError as error:
                self._chaos.note(f"  late order failed: {error}")
        self.hook = hook

    def _order(self, what: str, name: str, call: Callable[[], Any]) -> Any:
        self.flush(name)
        if not self._down and self._chaos.chance(self._chaos.engine_faults / 2):
            self._chaos.note(f"  {what} of {name} will be late")
            self._late.append((name, call))
            raise errors.Unanswered(what="Engine", why="simulated slowness")
        return call()

    def _name(self, handle: str) -> str:
        return next((box.name for box in self.boxes.values() if box.handle == handle), "")

    def create(
        self,
        name: str,
        spec: Spec,
        plugs: tuple[Plug, ...],
        labels: Labels,
        sandbox: str | None = None,
    ) -> str:
        make = super().create
        return str(self._order("create", name, lambda: make(name, spec, plugs, labels, sandbox)))

    def start(self, handle: str) -> None:
        really, name = super().start, self._name(handle)

        def call() -> None:
            box = self.boxes.get(name)
            before = box.starts if box else 0
            try:
                really(handle)
            finally:
                if box is not None and box.starts > before and box.labels.uuid != NOBODY:
                    self._note_start(box)

        self._order("start", name, call)

    def stop(self, handle: str, timeout_s: int) -> None:
        really, purpose = super().stop, self.stopping

        def call() -> None:
            self._cause = purpose
            try:
                really(handle, timeout_s)
            finally:
                self._cause = "own"

        self._order("stop", self._name(handle), call)

    def kill(self, handle: str, signal: str) -> None:
        really = super().kill

        def call() -> None:
            self._cause = "kill"
            before = Counter(self._box(handle).signals)
            try:
                really(handle, signal)
            finally:
                self._cause = "own"
                self.signals.update(Counter(self._box(handle).signals) - before)

        self._order("kill", self._name(handle), call)

    def pause(self, handle: str) -> None:
        really = super().pause
        self._order("pause", self._name(handle), lambda: really(handle))

    def unpause(self, handle: str) -> None:
        really = super().unpause
        self._order("unpause", self._name(handle), lambda: really(handle))

    def remove(self, handle: str) -> None:
        really = super().remove
        self._order("remove", self._name(handle), lambda: really(handle))

    def connect(self, handle: str, plug: Plug) -> None:
        really = super().connect
        self._order("connect", self._name(handle), lambda: really(handle, plug))

    def disconnect(self, handle: str, network_uuid: str) -> None:
        really = super().disconnect
        self._order("disconnect", self._name(handle), lambda: really(handle, network_uuid))

    def rejoin(self, handle: str, plugs: tuple[Plug, ...]) -> None:
        really = super().rejoin
        self._order("rejoin", self._name(handle), lambda: really(handle, plugs))

    def prepare(self, name: str, deployment: str) -> str:
        really = super().prepare
        return str(self._order("prepare", name, lambda: really(name, deployment)))

    def hand_over(self, handle: str, name: str) -> None:
        really = super().hand_over

        def call() -> None:
            really(handle, name)
            if self.boxes[name].alive:  # its start, as far as its capsule is concerned
                self._note_start(self.boxes[name])

        self._order("hand_over", self._name(handle), call)

    def _note_start(self, box: Box) -> None:
        self.witness(box.labels.uuid)
        self.begun.append((box.labels.uuid, self._chaos.time.now()))

    def forget_plugs(self) -> None:
        """The kernel went too, and with it all that was still to be unplugged."""
        self._unplugs.clear()

    def crash(self, *, survive: bool = True) -> None:
        self._late.clear()
        self.broke_off = True
        self._cause = "crash"
        super().crash(survive=survive)
        self._cause = "own"

    def lose(self, name: str) -> None:
        self.lost[self.boxes[name].labels.uuid] += 1
        super().lose(name)

    def forget(self, network_uuid: str) -> None:
        """Somebody removes a network behind our back."""
        hook, self.hook = self.hook, None
        try:
            self.unwire(network_uuid)
        except errors.Unanswered:
            pass  # nobody can, while the engine is down
        self.hook = hook

    def news(self) -> bool:
        """Whether events wait to be heard."""
        with self.lock:
            self._settle()
            return self.broke_off or self._drained[DEPLOYMENT] < len(self._events)

    def _end(self, box: Box, code: int, *, quietly: bool = False) -> None:
        self.ends.setdefault(box.labels.uuid, []).append(self._cause)
        self.codes[box.labels.uuid] = code
        super()._end(box, code, quietly=quietly)


class Machine:
    """One host; `core` is None while its agent is dead."""

    def __init__(
        self, name: str, chaos: Chaos, wire: Wire, link: Control, lease_s: int = 0
    ) -> None:
        """lease_s: what its agent promises."""
        self.name = name
        self.place = Place(
            zone=chaos.rng.choice(ZONES),
            rack=chaos.rng.choice(RACKS),
            enable_cpu_pinning=chaos.rng.random() < 0.5,
        )
        self.on = True
        """Whether it has power."""
        self.lease_s = lease_s
        self.clock = Clock(chaos.time, chaos.rng)
        self.wire = wire
        self._chaos = chaos
        self._link = link
        self._boots = 1
        self.journal = FragileJournal(chaos)
        self.snapshot: dict[str, dict[str, bytes]] = {}
        """What a backup of the journal's disk has."""
        self.forgot: Counter[str] = Counter()
        """How often the notes about each container became older than they had been."""
        self.binder = FakeBinder()
        self.binder.hook = chaos.outside
        self.engine = Engine(chaos, self.clock)
        self.engine.registry["app:latest"] = Image(command=("top",))
        self.engine.hook = chaos.outside
        self.engine.plug, self.engine.unplug = self._plug, self._unplug
        self.planted = False
        self._endpoints: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self.wiring: Wiring
        self.core: Core | None = None
        self.wake()

    @property
    def known(self) -> bool:
        """Whether the agent has heard of a container."""
        return self.journal.has("wish")

    def wake(self) -> None:
        """A new run of the agent, where none is."""
        if self.core is not None or not self.on:
            return
        self.wiring = Wiring(
            self.journal,
            self.binder,
            self.engine,
            "dolium-sim",
            DEPLOYMENT,
            mint=lambda: f"token{next(self._numbers)}",
        )
        self.core = Core(
            self._link,
            self.engine,
            self.wiring,
            self.journal,
            self.clock,
            self._chaos.rng,
            Options(
                host=self.name,
                place=self.place,
                machine=f"kernel-{self._boots}",
                lease_s=self.lease_s,
                ready=int("prepare" in self._chaos.bad),
            ),
        )

    def do(self, what: str, action: Callable[[Core], object]) -> None:
        """Let the agent do something; it may be killed on the way."""
        if self.core is None:
            return
        try:
            with self._chaos.mortal():
                if not self.core.boot:
                    self.core.hello()
                said = action(self.core)
            self._chaos.note(f"{self.name} {what}: {said}")
        except errors.Error as error:
            self._chaos.note(f"{self.name} {what}: {error}")
        except Killed:
            self._chaos.note(f"{self.name} {what}: the agent is dead")
            self.core = None

    def step(self, core: Core) -> object:
        """One pass over what is due, after hearing the engine's events."""
        if self.engine.broke_off and not self.engine._down:
            core.look(every=True)  # as who listens does when he hears again
            self.engine.broke_off = False
        for event in self.engine.happened(DEPLOYMENT):
            core.hear(event.uuid, event.what)
        uuid = core.agenda.take()
        if uuid is None:
            return None
        try:
            return f"{uuid[:4]} {core.step(uuid)}"
        finally:
            core.agenda.done(uuid)

    # --- what befalls a machine ----------------------------------------------------------------

    def guard(self) -> None:
        """Each time that passes, where a promise is to be kept: systemd starts again what is dead,
        and the agent looks at its lease every second.
        """
        if not self.lease_s or not self.on:
            return
        self.engine.flush()
        self.engine.revive()
        self.engine.stopping = "rest"
        self.wake()
        try:
            with self._chaos.mortal():
                self._promise()
        except Killed:
            self._chaos.note(f"{self.name}: the agent is dead, which looked at its lease")
            self.core = None
            self.wake()
        with self._chaos.truce():
            self._promise()
        self.engine.stopping = "stop"

    def _promise(self) -> None:
        assert self.core is not None
        if stopped := self.core.keep_promise():
            self._chaos.note(f"{self.name}: no lease, stopped {[uuid[:4] for uuid in stopped]}")

    def off(self) -> None:
        """It has no power any more."""
        self.core = None
        self.on = False
        self.engine.crash(survive=False)

    def start(self) -> None:
        """It has power again."""
        self.on = True
        self.lose_power()
        self.engine.revive()
        self.wake()

    def lose_power(self) -> None:
        """The whole machine starts again: what is on its disks stays."""
        self.core = None
        self.engine.crash(survive=False)
        self.binder.reboot()
        self.clock.boot()
        self._boots += 1
        self.engine.lives = 0  # the next one is the first of this run of the machine
        self.engine.forget_plugs()

    def roll_back(self) -> None:
        """The agent's disk shows an older state; the engine's does not."""
        self.core = None
        self.forgot.update({box.labels.uuid for box in self.engine.boxes.values()})
        self.journal.restore(self.snapshot)

    # --- what Docker asks of the network plugin ------------------------------------------------

    def _plug(self, plug: Plug) -> None:
        if self.core is None:
            raise errors.Refused(why="The network plugin is not there")
        found = self.wiring.ledger.reserved(plug.port.container_uuid)
        if found is None or digest(plug.token) not in found.tokens:
            raise errors.Refused(why="Nobody promised this port")
        if plug.port.uuid not in found.armed:
            raise errors.Refused(why="The port is not armed")
        docker_id = f"endpoint{next(self._numbers)}"
        self._endpoints[plug.port.uuid] = docker_id
        endpoint = Endpoint(
            network_uuid=plug.port.network_uuid,
            port=plug.port,
            container=plug.port.container_uuid,
        )
        self.wiring.ledger.connect(docker_id, endpoint)
        self.wiring.pairs.make(endpoint)

    def _unplug(self, plug: Plug) -> None:
        docker_id = self._endpoints.pop(plug.port.uuid, None)
        if docker_id is None:
            return
        if self.core is None or self.wiring.ledger.endpoint(docker_id) is None:
            if self.binder.port_name(plug.port.uuid) in self.binder.ports:
                self.binder.loosen(plug.port.uuid)
            return  # Docker tells only once, whether or not somebody hears it
        port_uuid = self.wiring.ledger.disconnect(docker_id)
        if port_uuid:
            self.wiring.pairs.unmake(port_uuid)

    def plant(self) -> None:
        """Put a container there that bears our mark and is in no store."""
        self.planted = True
        labels = Labels(deployment=DEPLOYMENT, uuid=STRANGER, generation=1)
        hook, self.engine.hook = self.engine.hook, None
        self.engine.images["app:latest"] = Image(command=("top",))
        spec = Spec(image="app")
        Fake.create(self.engine, engine_name(STRANGER, 1), spec, (), labels)
        self.engine.hook = hook
