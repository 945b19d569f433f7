"""Fate of the fake engine: its containers, what becomes of them, and faults on demand."""

from __future__ import annotations

import functools
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from dolium import errors
from dolium.drivers.engine import base, fake_files
from dolium.drivers.engine.fake_process import Plan
from dolium.model import log
from dolium.model.clock import Clock, SystemClock, iso
from dolium.model.container import Health, Spec, State
from dolium.model.network import Network
from dolium.model.registry import Login

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound="Fate")

WHAT = "Fake engine"


class Image(Struct, frozen=True, kw_only=True):
    """What an image brings along."""

    command: tuple[str, ...] = ("sh",)
    entrypoint: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    ports: tuple[int, ...] = ()


@dataclass(kw_only=True, slots=True)
class Reader:
    """Somebody who follows what a container writes."""

    inside: socket.socket
    streams: frozenset[str]
    since: float
    """Epoch seconds."""
    next: int
    """Which line of the output is to be told next."""
    unsent: bytes = b""


@dataclass(kw_only=True, slots=True)
class Box:
    """One container as the fake holds it; tests may look at everything."""

    handle: str
    name: str
    spec: Spec
    plugs: tuple[base.Plug, ...]
    labels: base.Labels
    image: Image
    state: State = State.CREATED
    cpus: tuple[int, ...] = ()
    """It may use these only; empty: all."""
    sandbox: str = ""
    """The handle of whose network it shares."""
    joined: int = 0
    """How often that one had been started when it was itself."""
    unwired: bool = False
    """A network of it was forgotten since it was made."""
    plan: Plan = field(default_factory=Plan)
    ends: float = inf
    """Monotonic time of the process's own exit."""
    left: float = inf
    """Seconds that a paused process has left."""
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    error: str | None = None
    health: Health | None = None
    starts: int = 0
    signals: list[str] = field(default_factory=list)
    attached: list[socket.socket] = field(default_factory=list)
    """The other sides of consoles that are attached: tests play the process."""
    size: tuple[int, int] | None = None
    """Height and width of its terminal."""
    files: fake_files.Files = field(default_factory=fake_files.FOLDERS.copy)
    output: list[tuple[float, str, bytes]] = field(default_factory=list)
    """Epoch seconds, stream, bytes; may lie in the future."""
    readers: list[Reader] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """True while it has a process."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def argv(self) -> list[str]:
        """What the process is started as."""
        entrypoint = self.spec.entrypoint
        command = self.spec.command
        if entrypoint is None:
            entrypoint = list(self.image.entrypoint)
            command = list(self.image.command) if command is None else command
        return [*entrypoint, *(command or [])]

    @property
    def environment(self) -> dict[str, str]:
        """The image's and the user's variables."""
        return dict(self.image.environment) | (self.spec.environment or {})


@dataclass(kw_only=True, slots=True)
class Command:
    """One command with a terminal. Tests play the process: they read and write `inside`."""

    box: Box
    argv: list[str]
    inside: socket.socket | None = None
    """The terminal's other side, from the start on."""
    ended: bool = False
    size: tuple[int, int] | None = None
    """Height and width."""

    def end(self) -> None:
        """The process exits."""
        self.ended = True
        if self.inside is not None:
            self.inside.close()


@dataclass(kw_only=True, slots=True)
class _Fault:
    method: str
    error: BaseException
    times: int
    after: bool


def asked(
    method: Callable[Concatenate[F, P], R],
) -> Callable[Concatenate[F, P], R]:
    """Count the call, let the hook and the planned faults have their say before and after."""
    name = method.__name__

    @functools.wraps(method)
    def call(fate: F, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with fate.lock:
            fate.calls[name] += 1
            fate._interfere(name, after=False)
            fate._settle()
            answer = method(fate, *args, **kwargs)
            fate._interfere(name, after=True)
            return answer

    return call


class Fate:
    """The state of the fake engine and the part that tests and simulations play with."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lock = threading.RLock()
        self.images: dict[str, Image] = {}
        """Images on the host, by reference with tag."""
        self.registry: dict[str, Image] = {"busybox:latest": Image()}
        """Images a pull can get."""
        self.registry_answers = True
        self.image_mib = 3
        """Size of all images; a pull tells each MiB."""
        self.logins: dict[str, Login] = {}
        """Who has to sign in for images of the registry, where not everybody may have them."""
        self.boxes: dict[str, Box] = {}
        """Containers by engine name."""
        self.commands: dict[str, Command] = {}
        """Commands with a terminal, by id."""
        self.networks: dict[str, tuple[Network, str, str]] = {}
        """Network id -> (network, plugin, deployment)."""
        self.calls: Counter[str] = Counter()
        self.hook: Callable[[str, str], None] | None = None
        """Called with (method, "before" or "after") at every boundary; may raise anything."""
        self.plug: Callable[[base.Plug], None] | None = None
        """What the network plugin does at each start; a DriverError fails the start."""
        self.unplug: Callable[[base.Plug], None] | None = None
        """What it does at each exit."""
        self._faults: list[_Fault] = []
        self.lives = 1
        """How often the engine has been started."""
        self._down = False
        self._closed = False
        self._unplugs: list[base.Plug] = []
        self._numbers = itertools.count(1)
        self._events: list[tuple[str, base.Happened]] = []
        self._drained: Counter[str] = Counter()
        self._news = threading.Condition(self.lock)

    # --- playing fate ------------------------------------------------------------------------

    def fail(
        self, method: str, error: BaseException, times: int = 1, *, after: bool = False
    ) -> None:
        """Let the next `times` calls of `method` (`*`: any) raise `error`.

        after: the work is done first, so the caller can't know.
        """
        with self.lock:
            self._faults.append(_Fault(method=method, error=error, times=times, after=after))

    def heal(self) -> None:
        """Forget all planned faults."""
        with self.lock:
            self._faults.clear()

    def crash(self, *, survive: bool = True) -> None:
        """The engine dies. Containers survive it (live-restore), or all processes are gone."""
        with self.lock:
            self._settle()
            self._down = True
            for box in self.boxes.values():
                if box.alive and not survive:
                    self._unplugs.extend(box.plugs)
                    self._end(box, 255, quietly=True)
            self._drained = Counter(dict.fromkeys(self._drained, len(self._events)))
            self._news.notify_all()

    def revive(self) -> None:
        """The engine is back; it tells the network plugin of what died with it."""
        with self.lock:
            self.lives += self._down
            self._down = False
            orphans, self._unplugs = self._unplugs, []
            for plug in orphans:
                if self.unplug is not None:
                    self.unplug(plug)

    def say(self, name: str, text: bytes, stream: str = "stdout") -> None:
        """Let a container's process write a line."""
        with self.lock:
            box = self.boxes[name]
            box.output.append((self.clock.now(), stream, text))
            self._tell_readers(box)

    def exit(self, name: str, code: int = 0) -> None:
        """Let a container's process end by itself."""
        with self.lock:
            self._end(self.boxes[name], code)

    def feel(self, name: str, health: Health) -> None:
        """A check of a running container gives another result."""
        with self.lock:
            self.boxes[name].health = health
            self._tell(self.boxes[name], "health_status")

    def lose(self, name: str) -> None:
        """Somebody removes a container behind our back."""
        with self.lock:
            box = self.boxes[name]
            if box.alive:
                self._end(box, 137)
            self._drop(box)

    def happened(self, deployment: str) -> list[base.Happened]:
        """What `events` would have told since the last call; never waits."""
        with self.lock:
            self._settle()
            start = self._drained[deployment]
            self._drained[deployment] = len(self._events)
            return [event for owner, event in self._events[start:] if owner == deployment]

    def _interfere(self, method: str, *, after: bool) -> None:
        if self.hook is not None:
            self.hook(method, "after" if after else "before")
        if self._down:
            raise errors.Unanswered(what=WHAT, why="connection refused")
        for fault in self._faults:
            if fault.method in (method, "*") and fault.after is after:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                raise fault.error

    # --- the life of a container -------------------------------------------------------------

    def _settle(self) -> None:
        now = self.clock.monotonic()
        for box in list(self.boxes.values()):
            if box.state is State.RUNNING and box.ends <= now:
                self._end(box, box.plan.exit_code)
            self._tell_readers(box)

    def _end(self, box: Box, code: int, *, quietly: bool = False) -> None:
        now = self.clock.now()
        box.state, box.exit_code, box.finished_at, box.ends = State.EXITED, code, now, inf
        box.output = [item for item in box.output if item[0] <= now]
        self._tell_readers(box, ended=True)
        for console in box.attached:
            console.close()
        box.attached.clear()
        for command in self.commands.values():
            if command.box is box:
                command.end()
        if quietly:
            return
        for plug in box.plugs:
            if self.unplug is not None:
                self.unplug(plug)
        self._tell(box, "die")

    def _tell_readers(self, box: Box, *, ended: bool = False) -> None:
        """Send what is due to who follows; without waiting for who does not read."""
        if not box.readers:
            return
        due = [line for line in box.output if line[0] <= self.clock.now()]
        for reader in list(box.readers):
            for at, stream, text in due[reader.next :]:
                if stream in reader.streams and round(at, 6) >= reader.since:  # as stamps are
                    reader.unsent += log.piece(f"{iso(at)}Z ".encode() + text)
            reader.next = max(reader.next, len(due))
            reader.unsent += log.END * ended
            gone = ended
            try:
                sent = reader.inside.send(reader.unsent, socket.MSG_DONTWAIT)
                reader.unsent = reader.unsent[sent:]
            except BlockingIOError:
                pass
            except OSError:  # nobody reads any more
                gone = True
            if gone:
                reader.inside.close()
                box.readers.remove(reader)

    def _drop(self, box: Box) -> None:
        del self.boxes[box.name]
        self._tell(box, "destroy")

    def _tell(self, box: Box, what: str) -> None:
        if not box.labels.uuid:  # a sandbox that is nobody's yet
            return
        event = base.Happened(uuid=box.labels.uuid, what=what)
        self._events.append((box.labels.deployment, event))
        self._news.notify_all()

    def _box(self, handle: str) -> Box:
        for box in self.boxes.values():
            if box.handle == handle:
                return box
        raise errors.Absent(what=f"Container {handle[:12]}")

    def _named(self, name: str) -> Box:
        if name not in self.boxes:
            raise errors.Absent(what=f"Container {name}")
        return self.boxes[name]

    def _running(self, handle: str) -> Box:
        box = self._box(handle)
        if box.state is not State.RUNNING:
            raise errors.Refused(why=f"Container {box.name} is not running")
        return box
