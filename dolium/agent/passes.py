"""One pass over one container: what a step may look at, remember, do and report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from dolium import errors
from dolium.agent import ready, sandbox
from dolium.agent.agenda import Agenda
from dolium.agent.loading import Loading
from dolium.agent.notes import Begun, Launch, Life, Notes
from dolium.agent.outbox import Outbox
from dolium.agent.pins import Pins
from dolium.agent.pulling import Pulling
from dolium.agent.ready import Ready
from dolium.drivers.engine.base import Engine, Labels, Plug
from dolium.model.clock import Clock
from dolium.model.container import Seen, Spec, State, Task, Wanted, engine_name
from dolium.model.image import Progress
from dolium.model.metric import Meter
from dolium.model.registry import Login, holds, within
from dolium.model.wish import Command, Fact, Result, Wish
from dolium.undo import Undo

LIVE = frozenset({State.RUNNING, State.PAUSED})
STOP_S = 10
"""How long a container may take to stop when nobody said."""

UNKNOWN = (errors.Unanswered, errors.Full)
"""Errors that heal: the step stays open and is tried again."""


class Wiring(Protocol):
    """What a pass needs of the host's side of networks (agent/wiring.py)."""

    def plug(self, wish: Wish, *, anew: bool = False) -> tuple[Plug, ...]:
        """Before the engine creates the container; anew: it forgot a network it was told of."""
        ...

    def arm(self, uuid: str) -> None:
        """Right before each start."""
        ...

    def unplug(self, uuid: str) -> None:
        """After the engine's container was removed."""
        ...


@dataclass
class Tools:
    """What all passes of one agent share."""

    engine: Engine
    wiring: Wiring
    notes: Notes
    outbox: Outbox
    agenda: Agenda
    pins: Pins
    clock: Clock
    gate: AbstractContextManager[object]
    """Held while an engine creates or starts: more at once only makes all of them slower."""
    machine: str
    """Id of this run of the machine's kernel."""
    stopping: Callable[[], bool]
    loading: Loading
    login: Callable[[str], Login]
    """Who signs in for the image of a container that names a registry; asked at each pull, as it
    is not to be on this host's disk."""
    ready: Ready
    deployment: str = ""
    meter: Meter = field(default_factory=Meter)

    def incarnation(self) -> str:
        """Which run of the engine answers now."""
        return f"{self.machine}/{self.engine.incarnation()}"


def halt(engine: Engine, seen: Seen, timeout_s: int) -> None:
    """Stop a container if it lives."""
    if seen.state is State.PAUSED:
        engine.unpause(seen.handle)
    if seen.state in LIVE:
        engine.stop(seen.handle, timeout_s)


class Pass:
    """A wish, what was done for it, what the engine showed last, and the ways to go on."""

    def __init__(self, tools: Tools, wish: Wish, life: Life) -> None:
        self.tools = tools
        self.wish = wish
        self.life = life
        self.seen: Seen | None = None
        self.known = False

    # --- looking and remembering -------------------------------------------------------------

    def look(self) -> Seen | None:
        """Ask the engine for the container of the wish's own generation."""
        self.known = False
        # Asked before the look: should the engine be restarted in between, what we note as
        # running is of the older run, and comes back.
        incarnation = self.tools.incarnation()
        name = engine_name(self.wish.uuid, self.wish.created_generation)
        self.seen = self.tools.engine.look(name)
        self.known = True
        if self.seen is not None and self._half_made(self.seen):
            halt(self.tools.engine, self.seen, 0)
            self.tools.engine.remove(self.seen.handle)
            self.seen = None
        if self.seen is not None:
            self._witness(self.seen, incarnation)
            self.seen = sandbox.exposing(self.wish, self.seen)
        return self.seen

    def _half_made(self, seen: Seen) -> bool:
        """Whether the engine may have been killed while it made this: it writes a container down
        before all that belongs to it. Nothing has run in one that was never started, and in a
        sandbox of which the others have not been told that it runs.
        """
        idle = seen.state is State.CREATED or sandbox.is_sandbox(self.wish)
        return idle and self.life.making == seen.generation

    def _witness(self, seen: Seen, incarnation: str) -> None:
        life = self.life
        runs = seen.state in LIVE and life.running != incarnation
        if life.exists and life.handle == seen.handle and not runs:
            return
        life.exists, life.handle = True, seen.handle
        self.mark(self.wish.created_generation)
        if runs:
            life.running = incarnation
        self.save()
        if sandbox.is_sandbox(self.wish):
            sandbox.wake(self.tools, self.wish)

    def save(self) -> None:
        """Write down what was done or is about to be."""
        self.tools.notes.save(self.wish.uuid, self.life)

    def report(
        self,
        *,
        task: Task | None = None,
        progress: Progress | None = None,
        reason: str | None = None,
        restarting: bool = False,
        gone: bool = False,
    ) -> None:
        """Queue what is known now for the control side."""
        fact = Fact(
            uuid=self.wish.uuid,
            sequence=0,
            generation=self.wish.generation,
            seen=self.seen,
            known=self.known or gone,
            task=task,
            progress=progress,
            reason=reason,
            restarting=restarting,
            results=self.tools.notes.results(self.wish.uuid),
            gone=gone,
        )
        self.tools.outbox.put(fact, urgent=task is None)

    def begin(self, command: Command) -> Begun:
        """The note about a command under way, kept from an earlier try if there was one."""
        if self.life.begun is None or self.life.begun.id != command.id:
            self.life.begun = Begun(id=command.id, at=self.tools.clock.now())
            self.life.pull = None
        return self.life.begun

    def act(self) -> None:
        """Write down that something is about to be sent that must not be repeated blindly."""
        assert self.life.begun is not None
        seen = self.seen
        self.life.begun = msgspec.structs.replace(
            self.life.begun,
            acted=True,
            handle=seen.handle if seen else None,
            before=seen.started_at if seen else None,
        )
        self.save()

    def end(self, command: Command, ok: bool, message: str | None) -> None:
        """Write down how a command ended; it is never carried out again."""
        begun = self.begin(command)
        self.life.begun = None
        self.life.done = command.generation
        result = Result(
            id=command.id,
            ok=ok,
            message=message,
            started_at=begun.at,
            finished_at=self.tools.clock.now(),
            steps=(self.life.pull,) if self.life.pull else (),
        )
        self.life.pull = None
        self.tools.notes.finish(self.wish.uuid, self.life, result)

    # --- doing -------------------------------------------------------------------------------

    def make(self) -> str | None:
        """Image, ports, container; one that exists is adopted. Returns a remark about the image.

        Afterwards `seen` tells handle and start time.
        """
        wish, tools = self.wish, self.tools
        if wish.created_generation in self.life.made and self.look():
            return None
        self.report(task=Task.PULLING)
        spec, remark = self._fetch()
        if sandbox.shares(wish):
            self.life.sandbox = sandbox.made(tools, wish)
        for older in self.life.made:
            if older != wish.created_generation:
                self.drop(older)
        self.mark(wish.created_generation)
        self.life.making = wish.created_generation
        self.save()
        labels = Labels(
            deployment=tools.deployment, uuid=wish.uuid, generation=wish.created_generation
        )
        name = engine_name(wish.uuid, wish.created_generation)
        if self._was_ready(name):
            return remark
        with tools.gate:
            plugs = tools.wiring.plug(wish)
            handle = tools.engine.create(name, spec, plugs, labels, sandbox.name(tools, wish))
        self.life.exists, self.life.handle, self.life.making = True, handle, None
        self.save()
        if sandbox.is_sandbox(wish):  # the others are made while it starts
            sandbox.wake(tools, wish)
        self.seen = Seen(
            uuid=wish.uuid,
            generation=wish.created_generation,
            handle=handle,
            state=State.CREATED,
        )
        return remark

    def _was_ready(self, name: str) -> bool:
        """Whether a sandbox that runs already could be had: then it is on the wish's network."""
        wish, tools = self.wish, self.tools
        if not sandbox.is_sandbox(wish) or not ready.fits(wish):
            return False
        handle = tools.ready.hand_over(name)
        if handle is None:
            return False
        self.life.exists, self.life.handle = True, handle
        self.save()
        sandbox.wake(tools, wish)  # the others are made meanwhile
        seen = Seen(
            uuid=wish.uuid,
            generation=wish.created_generation,
            handle=handle,
            state=State.RUNNING,
        )
        with tools.gate:
            for port in wish.ports:
                self.join(seen, port.network_uuid)
        self.life.making = None
        if self.look() is None:
            raise errors.Unanswered(what=f"Container {name}", why="it has just gone")
        return True

    def _fetch(self) -> tuple[Spec, str | None]:
        """Have the image; returns the wish with its name as the engine knows it, and a remark."""
        tools, wish, spec = self.tools, self.wish, self.wish.spec
        if sandbox.is_sandbox(wish):
            return msgspec.structs.replace(spec, image=tools.engine.sandbox_image()), None
        policy = spec.image_pull_policy or "always"
        if spec.pin is not None:
            tools.loading.load(wish.uuid, spec.pin, policy, self._unwanted)
            return spec, None
        spec, login = self._source()
        return spec, self._pull(spec.image, policy, login)

    def _pull(self, image: str, policy: str, login: Login | None) -> str | None:
        pulling = Pulling(
            self.tools.clock, lambda progress: self.report(task=Task.PULLING, progress=progress)
        )
        try:
            remark = self.tools.engine.pull(image, policy, self._unwanted, login, pulling)
        except UNKNOWN:
            raise
        except errors.DriverError as error:
            self.life.pull = pulling.step(error)
            raise
        self.life.pull = pulling.step()
        return remark

    def _source(self) -> tuple[Spec, Login | None]:
        """The wish with the image's name in its registry, and who signs in there."""
        spec = self.wish.spec
        if spec.registry_id is None:
            return spec, None
        login = self.tools.login(self.wish.uuid)
        image = within(spec.image, login.domain)
        named = msgspec.structs.replace(spec, image=image)
        return named, login if login.username and holds(login.domain, image) else None

    def tentative(self) -> Undo:
        """For `with`: a definite failure inside takes the container and its ports away again."""
        undo = Undo()
        undo(self.tools.wiring.unplug, self.wish.uuid)
        undo(self._clear)
        return undo

    def _clear(self) -> None:
        for generation in self.life.generations(self.wish):
            self.drop(generation)

    def launch(self, epoch: int, *, again: bool = False) -> None:
        """Start the process of the container last seen, noting before what proves it.

        again: it ran, and nobody asks for this start. Users do not read in between that it is
        stopped. A definite failure leaves the epoch to whoever reports it: only then it is used up.
        """
        self._share()
        self.pin()
        seen, life = self.seen, self.life
        assert seen is not None
        life.launch = Launch(epoch=epoch, handle=seen.handle, before=seen.started_at)
        life.running = self.tools.incarnation()
        life.next_at = life.quiet = None
        life.rested = False
        self.save()
        self.report(task=Task.STARTING, restarting=again)
        try:
            with self.tools.gate:
                self._start(seen.handle)
        except UNKNOWN:
            raise
        except errors.DriverError:
            life.running = life.launch = None
            self.save()
            raise
        self.use(epoch)

    def _share(self) -> None:
        """One of a capsule starts in the sandbox as it is now; raises Waiting."""
        if not sandbox.shares(self.wish):
            return
        shared = sandbox.running(self.tools, self.wish)
        if self.life.sandbox != shared.handle:
            self.life.rested = True  # whoever is killed now must still know that it is to start
            self.save()
            self.drop(self.wish.created_generation)
            self.make()
        self.life.sandbox_run = sandbox.run(shared)

    def pin(self) -> None:
        """Keep the container last seen on the CPUs that it is to use."""
        seen, before = self.seen, self.life.cpus
        assert seen is not None
        cpus = self.tools.pins.of(self.wish, self.life, seen)
        if self.life.cpus != before:
            self.save()
        if cpus != seen.cpus and cpus:
            self.tools.engine.pin(seen.handle, cpus)
            self.seen = msgspec.structs.replace(seen, cpus=cpus)

    def _start(self, handle: str) -> None:
        engine, wiring = self.tools.engine, self.tools.wiring
        wiring.arm(self.wish.uuid)
        try:
            engine.start(handle)
        except errors.Unwired:  # a `down` or an administrator removed our networks from it
            engine.rejoin(handle, wiring.plug(self.wish, anew=True))
            wiring.arm(self.wish.uuid)
            engine.start(handle)

    def join(self, seen: Seen, network_uuid: str) -> None:
        """Connect the container to one network of its wish, whether it runs or rests."""
        try:
            self._connect(seen, network_uuid, anew=False)
        except errors.Unwired:
            self._connect(seen, network_uuid, anew=True)

    def _connect(self, seen: Seen, network_uuid: str, *, anew: bool) -> None:
        plugs = self.tools.wiring.plug(self.wish, anew=anew)
        if seen.state in LIVE:
            self.tools.wiring.arm(self.wish.uuid)
        for plug in plugs:
            if plug.network.uuid == network_uuid:
                self.tools.engine.connect(seen.handle, plug)

    def launched(self) -> bool:
        """Whether a start noted before has visibly happened; settles the note if so."""
        launch, seen = self.life.launch, self.seen
        if launch is None or seen is None or seen.handle != launch.handle:
            return False
        if seen.started_at is None or seen.started_at == launch.before:
            return False
        self.use(launch.epoch)
        return True

    def use(self, epoch: int) -> None:
        """The start that was owed for the epoch has been tried to its end."""
        self.life.started = max(self.life.started, epoch)
        self.life.launch = None
        self.save()
        if sandbox.is_sandbox(self.wish):
            sandbox.wake(self.tools, self.wish)

    def halt(self, timeout_s: int) -> None:
        """Stop the container last seen, if it lives."""
        if self.seen is not None:
            halt(self.tools.engine, self.seen, timeout_s)

    def drop(self, generation: int, timeout_s: int = STOP_S) -> None:
        """Remove one generation's container, after it stopped."""
        seen = self.tools.engine.look(engine_name(self.wish.uuid, generation))
        if seen is not None:
            halt(self.tools.engine, seen, timeout_s)
            self.tools.engine.remove(seen.handle)
        self.life.made = tuple(made for made in self.life.made if made != generation)
        if generation == self.wish.created_generation:
            self.life.exists = False
            self.life.handle = ""
            self.life.launch = None
        self.save()

    def owe_nothing(self) -> None:
        """Forget that it ran: no start of it is due any more."""
        life = self.life
        life.running = life.next_at = life.launch = None
        life.rested = False

    def mark(self, generation: int) -> None:
        """Remember that the engine may have a container of this generation."""
        if generation not in self.life.made:
            self.life.made = (*self.life.made, generation)

    def _unwanted(self) -> bool:
        wish = self.tools.notes.wish(self.wish.uuid)
        return self.tools.stopping() or wish is None or wish.wanted is Wanted.DELETED
