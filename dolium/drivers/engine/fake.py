"""An engine in memory, with faults on demand: the outside world of tests and simulations.

It outlives the death of an agent, keeps no time but the clock it is handed, has no threads and
no chance of its own. What it does not copy of a real engine: real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import ClassVar

from msgspec import Struct, structs

from dolium import errors
from dolium.drivers.engine import base, fake_files
from dolium.drivers.engine.fake_fate import WHAT, Box, Image, asked
from dolium.drivers.engine.fake_logs import Logs
from dolium.drivers.engine.fake_process import NoProgram, plan
from dolium.drivers.engine.fake_saved import Saved
from dolium.model.clock import Clock
from dolium.model.container import Health, Look, Seen, Spec, State, named
from dolium.model.image import SANDBOX, Found, Held, Progress, reserved
from dolium.model.network import Network
from dolium.model.registry import Login

__all__ = ["Box", "Fake", "FakeOptions", "Image"]

_MIB = 1 << 20


class FakeOptions(Struct, frozen=True, kw_only=True):
    """The machine that the fake pretends to be."""

    cpus: int = 8
    memory_mib: int = 16384
    disk_gib: int = 100


class Fake(Logs, Saved, base.Engine):
    """The engine in memory; `base.Engine` for agents, `Fate` for tests."""

    name: ClassVar[str] = "fake"
    can: ClassVar[frozenset[str]] = frozenset(
        {
            *("plugin-networks", "pause", "update", "pin", "stats", "top", "archive"),
            *("disk-quota", "events", "sandbox"),
        }
    )
    Options = FakeOptions

    def __init__(self, options: FakeOptions | None = None, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.options = options or FakeOptions()

    @asked
    def facts(self) -> base.Facts:
        """See base."""
        return base.Facts(
            name=self.name,
            version="1",
            cpus=self.options.cpus,
            memory_mib=self.options.memory_mib,
            disk_gib=self.options.disk_gib,
            architecture="x86_64",
            os="linux",
            runtimes=("runc", "runsc"),
            disk_quota=True,
            cpu_ids=tuple(range(self.options.cpus)),
        )

    @asked
    def incarnation(self) -> str:
        """See base."""
        return str(self.lives)

    @asked
    def pull(
        self,
        image: str,
        policy: str,
        stop: Callable[[], bool] = lambda: False,
        login: Login | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> str | None:
        """See base."""
        if reserved(image):
            raise errors.Refused(why=f"Images like '{image}' can't be had by their names")
        name = _tagged(image)
        present = name in self.images
        if policy == "never" or (policy == "ifnotpresent" and present):
            if not present:
                raise errors.ImageMissing(image=image, why="it is not on this host")
            return None
        if stop():
            raise errors.Unanswered(what=WHAT, why="the pull was given up")
        told(Progress())
        if not self.registry_answers:
            if present:
                return f"Registry docker.io does not answer; image {image} of this host is used"
            raise errors.Unanswered(what="Registry docker.io", why="no answer")
        if self.logins.get(name, login) != login:
            raise errors.Refused(why=f"The registry denies access to image {image}")
        if name not in self.registry:
            raise errors.ImageMissing(image=image, why="the registry does not have it")
        for done in range(1, self.image_mib + 1):
            told(Progress(done << 20, self.image_mib << 20))
        self.images[name] = self.registry[name]
        return None

    @asked
    def image(self, image: str) -> Held | None:
        """See base."""
        name = _tagged(image)
        return Held(id=f"sha256:{name}", size=_MIB) if name in self.images else None

    @asked
    def remove_image(self, image: str) -> None:
        """See base."""
        name = _tagged(image)
        if any(_tagged(box.spec.image) == name for box in self.boxes.values()):
            raise errors.Refused(why=f"Image {image} is in use by a container")
        self.images.pop(name, None)

    @asked
    def search_images(self, name: str) -> list[Found]:
        """See base."""
        if not self.registry_answers:
            raise errors.Unanswered(what="Registry docker.io", why="no connection")
        repos = sorted({full.rpartition(":")[0] for full in self.registry})
        return [Found(name=repo) for repo in repos if name in repo]

    @asked
    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """See base."""
        self.networks.setdefault(network.uuid, (network, plugin, deployment))

    @asked
    def unwire(self, network_uuid: str) -> None:
        """See base."""
        for box in self.boxes.values():
            if box.alive and any(plug.network.uuid == network_uuid for plug in box.plugs):
                raise errors.Refused(why=f"Network {network_uuid} has active endpoints")
        self.networks.pop(network_uuid, None)
        for box in self.boxes.values():  # a new network of the name is another one to it
            box.unwired |= any(plug.network.uuid == network_uuid for plug in box.plugs)

    @asked
    def wired(self, deployment: str) -> list[str]:
        """See base."""
        return [uuid for uuid, entry in self.networks.items() if entry[2] == deployment]

    @asked
    def sandbox_image(self) -> str:
        """See base."""
        self.images.setdefault(SANDBOX, Image(command=("top",)))
        return SANDBOX

    @asked
    def create(
        self,
        name: str,
        spec: Spec,
        plugs: tuple[base.Plug, ...],
        labels: base.Labels,
        sandbox: str | None = None,
    ) -> str:
        """See base."""
        if box := self.boxes.get(name):
            if box.labels == labels:
                return box.handle
            raise errors.Refused(why=f"The engine has another container named {name}")
        image = self.images.get(_tagged(spec.image))
        if image is None:
            raise errors.ImageMissing(image=spec.image, why="it is not on this host")
        if spec.runtime not in (None, "runc", "runsc"):
            raise errors.Refused(why=f"The engine has no runtime '{spec.runtime}'")
        box = Box(
            handle=f"{next(self._numbers):064x}",
            name=name,
            spec=spec,
            plugs=plugs,
            labels=labels,
            image=image,
        )
        if sandbox not in (None, name):
            box.sandbox = self._named(str(sandbox)).handle
        for path, content in spec.files:
            fake_files.inject(box.files, path, content)
        self.boxes[name] = box
        self._tell(box, "create")
        return box.handle

    @asked
    def prepare(self, name: str, deployment: str) -> str:
        """See base."""
        nobodys = base.Labels(deployment=deployment, uuid="", generation=0)
        handle = self.create(name, Spec(image=self.sandbox_image()), (), nobodys, name)
        self.start(handle)
        return handle

    @asked
    def prepared(self, deployment: str) -> list[str]:
        """See base."""
        marks = [(box.labels.deployment, box.labels.uuid, box) for box in self.boxes.values()]
        return [box.handle for owner, uuid, box in marks if owner == deployment and not uuid]

    @asked
    def hand_over(self, handle: str, name: str) -> None:
        """See base."""
        box, whose = self._box(handle), named(name)
        assert whose is not None
        if name in self.boxes:
            raise errors.Refused(why=f"The engine has another container named {name}")
        del self.boxes[box.name]
        box.name, self.boxes[name] = name, box
        box.labels = structs.replace(box.labels, uuid=whose[0], generation=whose[1])

    @asked
    def start(self, handle: str) -> None:
        """See base."""
        box = self._box(handle)
        if box.state is State.RUNNING:
            return
        if box.state is State.PAUSED:
            raise errors.Refused(why=f"Container {box.name} is paused")
        if box.sandbox:
            if not (shared := self._box(box.sandbox)).alive:
                raise errors.Refused(why="cannot join network of a non running container")
            box.joined = shared.starts
        try:
            made = plan(box.argv, box.environment, box.spec.interactive)
        except NoProgram as missing:
            box.exit_code, box.error = 127, _no_program(missing)
            raise errors.Refused(why=box.error) from None
        self._plug(box)
        now = self.clock.now()
        box.plan, box.state, box.ends = made, State.RUNNING, self.clock.monotonic() + made.lasts
        box.started_at, box.finished_at, box.exit_code, box.error = now, None, None, None
        box.starts += 1
        box.health = Health.STARTING if box.spec.healthcheck else None
        box.output.extend((now + line.at, line.stream, line.text) for line in made.lines)
        self._tell(box, "start")

    @asked
    def rejoin(self, handle: str, plugs: tuple[base.Plug, ...]) -> None:
        """See base."""
        box = self._box(handle)
        box.plugs, box.unwired = plugs, False

    @asked
    def connect(self, handle: str, plug: base.Plug) -> None:
        """See base."""
        box = self._box(handle)
        if plug.network.uuid not in self.networks:
            raise errors.Unwired(why=f"Network {plug.network.uuid} could not be found")
        if any(each.network.uuid == plug.network.uuid for each in box.plugs):
            return
        if box.alive and self.plug is not None:
            self.plug(plug)
        box.plugs = (*box.plugs, plug)

    @asked
    def disconnect(self, handle: str, network_uuid: str) -> None:
        """See base."""
        box = self._box(handle)
        for plug in box.plugs:
            if plug.network.uuid == network_uuid:
                if box.alive and self.unplug is not None:
                    self.unplug(plug)
                box.plugs = tuple(each for each in box.plugs if each is not plug)

    def _plug(self, box: Box) -> None:
        known = all(plug.network.uuid in self.networks for plug in box.plugs)
        if box.unwired or not known:
            raise errors.Unwired(why=f"A network of {box.name} could not be found")
        done: list[base.Plug] = []
        try:
            for plug in box.plugs:
                if self.plug is not None:
                    self.plug(plug)
                done.append(plug)
        except errors.DriverError as error:
            for plug in done:
                if self.unplug is not None:
                    self.unplug(plug)
            box.error = str(error)
            raise

    @asked
    def stop(self, handle: str, timeout_s: int) -> None:
        """See base. Who ignores SIGTERM is killed without waiting."""
        box = self._box(handle)
        if not box.alive:
            return
        box.signals.append("SIGTERM")
        code = box.plan.on_term
        if code is None:
            box.signals.append("SIGKILL")
            code = 137
        self._end(box, code)

    @asked
    def kill(self, handle: str, signal: str) -> None:
        """See base."""
        box = self._box(handle)
        if not box.alive:
            raise errors.Refused(why=f"Container {box.name} is not running")
        signal = signal.upper()
        box.signals.append(signal)
        if signal in ("SIGKILL", "KILL", "9"):
            self._end(box, 137)
        elif signal in ("SIGTERM", "TERM", "15") and box.plan.on_term is not None:
            self._end(box, box.plan.on_term)

    @asked
    def pause(self, handle: str) -> None:
        """See base."""
        box = self._box(handle)
        if box.state is State.PAUSED:
            return
        box = self._running(handle)
        box.left = box.ends - self.clock.monotonic()
        box.state, box.ends = State.PAUSED, inf
        self._tell(box, "pause")

    @asked
    def unpause(self, handle: str) -> None:
        """See base."""
        box = self._box(handle)
        if box.state is State.RUNNING:
            return
        if box.state is not State.PAUSED:
            raise errors.Refused(why=f"Container {box.name} is not paused")
        box.state, box.ends = State.RUNNING, self.clock.monotonic() + box.left
        self._tell(box, "unpause")

    @asked
    def update(self, handle: str, spec: Spec) -> None:
        """See base."""
        box = self._box(handle)
        box.spec = structs.replace(box.spec, cpu=spec.cpu, memory=spec.memory)

    @asked
    def pin(self, handle: str, cpus: tuple[int, ...]) -> None:
        """See base."""
        if not set(cpus) <= set(range(self.options.cpus)) or not cpus:
            raise errors.Refused(why=f"Requested CPUs are not available: {cpus}")
        self._box(handle).cpus = cpus

    @asked
    def remove(self, handle: str) -> None:
        """See base."""
        try:
            box = self._box(handle)
        except errors.Absent:
            return
        if box.alive:
            raise errors.Refused(why=f"Container {box.name} is running")
        self._drop(box)

    @asked
    def look(self, name: str) -> Seen | None:
        """See base."""
        box = self.boxes.get(name)
        if box is None:
            return None
        ports = {*box.image.ports, *(int(p.split("/")[0]) for p in box.spec.exposed_ports or {})}
        command, entrypoint = box.spec.command, box.spec.entrypoint
        if command is None:
            command = list(box.image.command) if entrypoint is None else []
        look = Look(
            command=command,
            environment=box.environment,
            workdir=box.spec.workdir or box.image.workdir,
            ports=sorted(ports),
            hostname=box.spec.hostname or box.handle[-12:],
            entrypoint=list(box.image.entrypoint) if entrypoint is None else entrypoint,
        )
        return structs.replace(
            _seen(box),
            started_at=box.started_at,
            error=box.error,
            health=box.health if box.state is State.RUNNING else None,
            look=look,
        )

    @asked
    def listing(self, deployment: str) -> list[Seen]:
        """See base."""
        whose = [(box.labels, box) for box in self.boxes.values()]
        return [_seen(box) for its, box in whose if its.deployment == deployment and its.uuid]

    @asked
    def execute(self, handle: str, argv: list[str], timeout_s: float) -> base.Executed:
        """See base. Takes no time."""
        box = self._running(handle)
        try:
            made = plan(argv, box.environment)
        except NoProgram as missing:
            return base.Executed(output=_no_program(missing).encode(), exit_code=127)
        if made.lasts > timeout_s:
            raise errors.TimedOut(what="executing command")
        output = b"".join(line.text for line in made.lines)
        return base.Executed(output=output, exit_code=made.exit_code)

    @asked
    def top(self, handle: str, ps_args: str | None = None) -> dict[str, list[object]]:
        """See base."""
        box = self._running(handle)
        return {"Titles": ["PID", "CMD"], "Processes": [["1", " ".join(box.argv)]]}

    @asked
    def stats(self, handle: str) -> base.Usage:
        """See base."""
        box = self._running(handle)
        return base.Usage(
            cpu_ns=1_000_000,
            system_cpu_ns=1_000_000_000,
            memory=_MIB,
            memory_limit=box.spec.memory_mib * _MIB,
            read=0,
            written=0,
            received=0,
            sent=0,
        )

    @asked
    def get_archive(self, handle: str, path: str, most: int) -> base.Archive:
        """See base."""
        return fake_files.get(self._box(handle).files, path, most, self.clock.now())

    @asked
    def put_archive(self, handle: str, path: str, data: bytes) -> None:
        """See base."""
        fake_files.put(self._box(handle).files, path, data)

    def events(self, deployment: str) -> Iterator[base.Happened]:
        """See base. Waits in real time: for threads; simulations use `happened`."""
        with self.lock:
            self.calls["events"] += 1
            self._interfere("events", after=False)
            return self._stream(deployment, len(self._events))

    def _stream(self, deployment: str, position: int) -> Iterator[base.Happened]:
        while True:
            with self.lock:
                self._settle()
                news = self._events[position:]
                position = len(self._events)
                if not news:
                    if self._closed:
                        return
                    if self._down:
                        raise errors.Unanswered(what=WHAT, why="the event stream ended")
                    self._news.wait(0.1)
            for owner, event in news:
                if owner == deployment:
                    yield event

    def close(self) -> None:
        """See base."""
        with self.lock:
            self._closed = True
            self._news.notify_all()


def _tagged(image: str) -> str:
    return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"


def _no_program(missing: NoProgram) -> str:
    return f"The command '{missing}' could not be started: it was not found in the image"


def _seen(box: Box) -> Seen:
    return Seen(
        uuid=box.labels.uuid,
        generation=box.labels.generation,
        handle=box.handle,
        state=box.state,
        finished_at=box.finished_at,
        exit_code=box.exit_code if box.state is not State.CREATED else None,
        cpus=box.cpus,
    )
