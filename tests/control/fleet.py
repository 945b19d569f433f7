"""A control side with several hosts, each a real agent on a fake engine; time moves in seconds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from dolium import conf, errors
from dolium.agent.core import Core, Options
from dolium.agent.inventory import Place
from dolium.agent.journal import Journal
from dolium.agent.wiring import Wiring
from dolium.control.heartbeats import Heartbeats
from dolium.control.hosts import Hosts
from dolium.control.lost import Lost
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake, Image
from dolium.drivers.fence.base import Driver
from dolium.drivers.fence.fake import Fake as FakeFence
from dolium.link.local import LocalControl
from dolium.model.host import Hello, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Facts, Fate, Page
from tests.control.world import World

T = TypeVar("T")

DEPLOYMENT = "deployment"
PULL_S = 5
"""How often an agent pulls here; a real one waits longer, and is answered earlier."""


class Cut:
    """A link that may be cut."""

    def __init__(self, control: LocalControl) -> None:
        self._control = control
        self.cut = False

    def _through(self, call: Callable[[], T]) -> T:
        if self.cut:
            raise errors.Unanswered(what="The control side", why="the network is cut")
        return call()

    def hello(self, hello: Hello) -> Welcome:
        return self._through(lambda: self._control.hello(hello))

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        return self._through(lambda: self._control.wishes(host, boot, since, 0))

    def post(self, facts: Facts) -> Ack:
        return self._through(lambda: self._control.post(facts))

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        return self._through(lambda: self._control.fate(host, uuids))

    def login(self, host: str, boot: str, uuid: str) -> Login:
        return self._through(lambda: self._control.login(host, boot, uuid))

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        return self._through(lambda: self._control.image(host, boot, uuid))


class Machine:
    """One host. `core` is None while no agent runs there, `on` is False without power."""

    def __init__(self, fleet: Fleet, name: str, zone: str, lease_s: int) -> None:
        self.name = name
        self._fleet = fleet
        self._options = Options(host=name, place=Place(zone=zone), machine="m0", lease_s=lease_s)
        self._boots = itertools.count(1)
        self._tokens = itertools.count(1)
        self.link = Cut(LocalControl(fleet.hosts))
        self.engine = Fake(clock=fleet.clock)
        self.engine.registry["cirros:latest"] = Image(command=("top",))
        self.binder = FakeBinder()
        self.journal = Journal(None)
        self.on = True
        self.said: list[str] = []
        self.core: Core | None = None
        self.wake()

    def wake(self) -> None:
        """A new run of the agent."""
        if self.core is not None or not self.on:
            return
        wiring = Wiring(
            self.journal,
            self.binder,
            self.engine,
            "dolium-test",
            DEPLOYMENT,
            mint=lambda: f"t{next(self._tokens)}",
        )
        self.core = Core(
            self.link,
            self.engine,
            wiring,
            self.journal,
            self._fleet.clock,
            random.Random(next(self._boots)),
            self._options,
        )

    def die(self) -> None:
        """The agent's process is killed; containers run on."""
        self.core = None

    def power(self, on: bool) -> None:
        """Off: at once, with everything on it. On: the machine starts, and its agent."""
        if on == self.on:
            return
        self.on = on
        self.core = None
        if on:
            self.engine.revive()
            self.wake()
        else:
            self.engine.crash(survive=False)

    def second(self, now: int) -> None:
        """What an agent does within one second."""
        core = self.core
        if core is None:
            return
        core.keep_promise()
        try:
            if not core.boot:
                core.hello()
            if now % PULL_S == 0 or not core._complete:
                page = core.pull()
                if page.full:
                    core.look()
        except errors.Error as error:
            self.said.append(str(error))
        for event in self.engine.happened(DEPLOYMENT):
            core.hear(event.uuid, event.what)
        while (uuid := core.agenda.take()) is not None:
            self.said.append(core.step(uuid))
            core.agenda.done(uuid)
        try:
            core.post()
        except errors.Error as error:
            self.said.append(str(error))

    def live(self) -> list[str]:
        """Containers that run, one mention for each copy."""
        return [box.labels.uuid for box in self.engine.boxes.values() if box.alive]


class Fleet(World):
    """Hosts host1, host2, … of one control side with two conductors."""

    def __init__(
        self,
        hosts: int = 3,
        *,
        lease_s: int = 0,
        zones: Sequence[str] = ("nova",),
        fences: Sequence[Driver] = (),
    ) -> None:
        super().__init__(quota=conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))
        self.heartbeats = Heartbeats(self.store, self.clock)
        self.hosts = Hosts(
            self.store, self.clock, conf.Placing(), DEPLOYMENT, self.heartbeats.heard
        )
        self.fence = FakeFence()
        options, asked = conf.Hosts(), fences or [self.fence]
        self.conductors = [
            Lost(self.store, self.clock, options, asked, meter=self.store.meter) for _ in range(2)
        ]
        self.seconds = 0
        self.machines = {
            name: Machine(self, name, zones[number % len(zones)], lease_s)
            for number, name in enumerate(f"host{n}" for n in range(1, hosts + 1))
        }
        self.run(1)

    def run(self, seconds: int) -> None:
        """Let time pass, and everybody do what they do."""
        for _ in range(seconds):
            self.seconds += 1
            self.clock.time += 1.0
            for machine in self.machines.values():
                machine.second(self.seconds)
            self.check()
            self.heartbeats.flush()
            for conductor in self.conductors:
                conductor.judge()
                conductor.fence()
                conductor.heal()
            while self.placer.turn():
                pass
            self.check()

    def check(self) -> None:
        """Never two live copies."""
        live = [uuid for machine in self.machines.values() for uuid in machine.live()]
        assert len(live) == len(set(live)), f"two live copies: {live}"

    def place(self, host: str = "host1", name: str = "c1", **spec: object) -> str:
        """A container that runs on this host, and may run on others."""
        others = [other for other in self.machines if other != host]
        for other in others:
            self.services.disable(other, None)
        uuid = self.create(name, **spec)
        self.run(2 * PULL_S)
        for other in others:
            self.services.enable(other)
        assert self.shown(uuid) == (host, "Running")
        return uuid

    def shown(self, uuid: str) -> tuple[str | None, str]:
        row = self.containers.find(self.who(admin=True), uuid)
        return row.host, row.status

    def wish_generation(self, uuid: str) -> int:
        return self.containers.find(self.who(admin=True), uuid).generation

    def reason(self, uuid: str) -> str:
        return self.containers.find(self.who(admin=True), uuid).status_reason or ""

    def on(self, uuid: str) -> list[str]:
        """Hosts with a live copy."""
        return [name for name, machine in self.machines.items() if uuid in machine.live()]

    def state(self, host: str) -> tuple[bool, bool, str | None]:
        """silent, held, proof."""
        service = self.services.host(host).service
        return service.silent, service.held, service.proof
