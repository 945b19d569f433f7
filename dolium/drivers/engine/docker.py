"""Docker Engine, through its socket. The agent's usual engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from msgspec import Struct

from dolium import errors
from dolium.drivers.engine import base, docker_logs, docker_sandbox
from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine import docker_bodies as bodies
from dolium.drivers.engine.docker_archives import Archives
from dolium.drivers.engine.docker_consoles import Consoles
from dolium.drivers.engine.docker_disk import quota, size_gib
from dolium.drivers.engine.docker_errors import WHAT, no_program
from dolium.drivers.engine.docker_images import SILENT_S, Images
from dolium.drivers.engine.docker_logs import Logs
from dolium.drivers.engine.docker_networks import Networks
from dolium.drivers.engine.docker_process import cpus, incarnation
from dolium.drivers.engine.docker_saved import Saved
from dolium.drivers.engine.docker_socket import Client, Demux, Stream
from dolium.drivers.engine.process import Process, kill
from dolium.model import reading
from dolium.model.capsule import SHARING
from dolium.model.container import Seen, Spec, State
from dolium.model.image import Found, Held, Progress
from dolium.model.network import Network
from dolium.model.registry import Login
from dolium.undo import Undo

START_S = 180.0
"""Longest start: network plugins and busy disks take their time."""
STOP_S = 60.0
"""What a stop may take beyond the time it gives the process."""
OUTPUT = 8 << 20
"""Bytes kept of what a command inside writes; the rest is read and dropped."""
_MIB = 1 << 20


class DockerOptions(Struct, frozen=True, kw_only=True):
    """How to reach the engine, and what every container gets."""

    socket: str = "/var/run/docker.sock"
    tenant_runtime: str = ""
    """OCI runtime of containers that name none; empty: the engine's own choice."""
    pids_limit: int = 512
    """Most processes of one container."""
    silent_s: float = SILENT_S
    """Seconds until a registry that does not answer counts as silent."""


class Docker(base.Engine):
    """Docker Engine 20.10 and newer (API 1.41)."""

    name: ClassVar[str] = "docker"
    can: ClassVar[frozenset[str]] = frozenset(
        {
            *("plugin-networks", "pause", "update", "pin", "stats", "top", "archive"),
            *("events", "sandbox"),
        }
    )
    Options = DockerOptions
    what: ClassVar[str] = WHAT

    def __init__(self, options: DockerOptions | None = None) -> None:
        self.options = options or DockerOptions()
        self._client = Client(self.options.socket, what=self.what)
        self._images = Images(self._client, silent_s=self.options.silent_s)
        self._consoles = Consoles(self._client)
        self._logs = Logs(self._client)
        self._archives = Archives(self._client)
        self._saved = Saved(self._client)
        self._networks = Networks(self._client)
        self._disk_quota: bool | None = None
        self._closed = False

    def facts(self) -> base.Facts:
        """See base."""
        info = self._client.ask("GET", "/info", answers.Info)
        self._disk_quota = quota(info)
        return base.Facts(
            name=self.name,
            version=info.server_version,
            cpus=info.n_c_p_u,
            memory_mib=info.mem_total // _MIB,
            disk_gib=size_gib(info.docker_root_dir),
            architecture=info.architecture,
            os=info.operating_system,
            kernel_version=info.kernel_version,
            runtimes=tuple(sorted(info.runtimes or ())),
            disk_quota=self._disk_quota,
            cpu_ids=cpus(self.options.socket, "dockerd"),
        )

    def incarnation(self) -> str:
        """See base."""
        try:
            return incarnation(self.options.socket, "dockerd")
        except OSError as error:
            raise errors.Unanswered(what=self.what, why=str(error)) from error

    def pull(
        self,
        image: str,
        policy: str,
        stop: Callable[[], bool] = lambda: False,
        login: Login | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> str | None:
        """See base."""
        return self._images.pull(image, policy, stop, login, told)

    def image(self, image: str) -> Held | None:
        """See base."""
        return self._images.held(image)

    def load(self, name: str, pieces: Iterator[bytes]) -> None:
        """See base."""
        self._saved.load(name, pieces)

    def commit(self, handle: str, name: str) -> None:
        """See base."""
        self._saved.commit(handle, name)

    def save(self, name: str) -> Iterator[bytes]:
        """See base."""
        return self._saved.save(name)

    def remove_image(self, image: str) -> None:
        """See base."""
        self._images.remove(image)

    def search_images(self, name: str) -> list[Found]:
        """See base."""
        return self._images.search(name)

    # --- networks ----------------------------------------------------------------------------

    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """See base."""
        self._networks.wire(network, plugin, deployment)

    def unwire(self, network_uuid: str) -> None:
        """See base."""
        self._networks.unwire(network_uuid)

    def wired(self, deployment: str) -> list[str]:
        """See base."""
        return self._networks.wired(deployment)

    def connect(self, handle: str, plug: base.Plug) -> None:
        """See base."""
        self._networks.connect(handle, plug)

    def disconnect(self, handle: str, network_uuid: str) -> None:
        """See base."""
        self._networks.disconnect(handle, network_uuid)

    # --- the life of a container -------------------------------------------------------------

    def sandbox_image(self) -> str:
        """See base."""
        if self.options.tenant_runtime not in SHARING:
            what = f"capsules with runtime {self.options.tenant_runtime}"
            raise errors.NotOffered(driver=self.name, what=what)
        return docker_sandbox.present(self._client, lambda: self.facts().architecture)

    def create(
        self,
        name: str,
        spec: Spec,
        plugs: tuple[base.Plug, ...],
        labels: base.Labels,
        sandbox: str | None = None,
    ) -> str:
        """See base."""
        body = self._body(spec, plugs, labels)
        if sandbox == name:
            bodies.share(body)
        elif sandbox:
            bodies.join(body, sandbox)
        with Undo() as undo:
            try:
                handle = self._create(name, body)
                undo(self.remove, handle)
                connected: set[str] = set()
            except _Exists:
                handle, connected = self._adopt(name, labels)
            for path, content in spec.files:
                self._archives.inject(handle, path, content)
            for plug in plugs[1:]:
                if bodies.network_name(plug.network.uuid) not in connected:
                    self._networks.join(handle, plug)
        return handle

    def _body(
        self, spec: Spec, plugs: tuple[base.Plug, ...], labels: base.Labels
    ) -> dict[str, Any]:
        if spec.disk and self._disk_quota is None:
            self.facts()
        if spec.disk and not self._disk_quota:
            raise errors.Refused(why="Your host does not support disk quota feature.")
        return bodies.container(
            spec,
            plugs,
            labels,
            pids_limit=self.options.pids_limit,
            runtime=spec.runtime or self.options.tenant_runtime,
            disk_quota=bool(self._disk_quota),
        )

    def _create(self, name: str, body: dict[str, Any]) -> str:
        try:
            made = self._client.ask(
                "POST", "/containers/create", answers.Id, query={"name": name}, body=body
            )
        except errors.Absent as error:
            raise errors.ImageMissing(image=body["Image"], why="it is not on this host") from error
        except errors.Refused as error:
            if "already in use" in str(error):
                raise _Exists from error
            raise
        return made.id

    def prepare(self, name: str, deployment: str) -> str:
        """See base."""
        unmarked = base.Labels(deployment=deployment, uuid="", generation=0)
        body = self._body(Spec(image=self.sandbox_image()), (), unmarked)
        bodies.share(body)
        bodies.ready(body, deployment)
        with contextlib.suppress(_Exists):
            self._create(name, body)
        self.start(name)
        found = self._inspect(name)
        if found is None:
            raise errors.Absent(what=f"Container {name}")
        return found.id

    def prepared(self, deployment: str) -> list[str]:
        """See base."""
        marks = [f"{bodies.DEPLOYMENT}={deployment}", bodies.READY]
        query = {"all": "1", "filters": bodies.filters(label=marks)}
        rows = self._client.ask("GET", "/containers/json", list[answers.Listed], query=query)
        return [row.id for row in rows if answers.mark(row.labels, row.name) is None]

    def hand_over(self, handle: str, name: str) -> None:
        """See base."""
        self._client.raw("POST", f"/containers/{handle}/rename", query={"name": name})

    def _adopt(self, name: str, labels: base.Labels) -> tuple[str, set[str]]:
        """The container an earlier try made, and the networks it is connected to."""
        found = self._inspect(name)
        if found is None:
            raise errors.Unanswered(what=self.what, why=f"container {name} is coming or going")
        if answers.mark(found.config.labels, found.name) != labels:
            raise errors.Refused(why=f"The engine has another container named {name}")
        return found.id, set(found.network_settings.networks or ())

    def start(self, handle: str) -> None:
        """See base."""
        try:
            self._client.raw("POST", f"/containers/{handle}/start", timeout_s=START_S)
        except errors.Absent as error:
            if str(error.facts["what"]).startswith("Network "):
                raise errors.Unwired(why=str(error)) from None
            raise

    def rejoin(self, handle: str, plugs: tuple[base.Plug, ...]) -> None:
        """See base. Docker forgets the old network of a name when it hears of the new one."""
        for plug in plugs:
            self._networks.join(handle, plug)

    def stop(self, handle: str, timeout_s: int) -> None:
        """See base."""
        self._client.raw(
            "POST",
            f"/containers/{handle}/stop",
            query={"t": timeout_s},
            timeout_s=timeout_s + STOP_S,
        )

    def kill(self, handle: str, signal: str) -> None:
        """See base."""
        self._client.raw("POST", f"/containers/{handle}/kill", query={"signal": signal})

    def pause(self, handle: str) -> None:
        """See base."""
        self._settle(handle, "pause", State.PAUSED)

    def unpause(self, handle: str) -> None:
        """See base."""
        self._settle(handle, "unpause", State.RUNNING)

    def paused(self, handle: str) -> bool:
        """Whether it is frozen now."""
        found = self._inspect(handle)
        return found is not None and answers.STATES.get(found.state.status) is State.PAUSED

    def _settle(self, handle: str, verb: str, state: State) -> None:
        """Do it; a refusal is fine when it is so already."""
        try:
            self._client.raw("POST", f"/containers/{handle}/{verb}")
        except errors.Refused:
            found = self._inspect(handle)
            if found is None or answers.STATES.get(found.state.status) is not state:
                raise

    def update(self, handle: str, spec: Spec) -> None:
        """See base."""
        self._client.raw("POST", f"/containers/{handle}/update", body=bodies.resources(spec))

    def pin(self, handle: str, cpus: tuple[int, ...]) -> None:
        """See base."""
        body = {"CpusetCpus": ",".join(map(str, cpus))}
        self._client.raw("POST", f"/containers/{handle}/update", body=body)

    def remove(self, handle: str) -> None:
        """See base."""
        try:
            self._client.raw("DELETE", f"/containers/{handle}", query={"v": "1"}, timeout_s=STOP_S)
        except errors.Absent:
            pass
        except errors.Refused as error:
            # Somebody still holds a file of it open; that passes.
            if "busy" in str(error) or "failed to remove" in str(error):
                raise errors.Unanswered(what=self.what, why=str(error)) from error
            raise

    # --- looking -----------------------------------------------------------------------------

    def look(self, name: str) -> Seen | None:
        """See base."""
        found = self._inspect(name)
        return None if found is None else answers.seen(found)

    def listing(self, deployment: str) -> list[Seen]:
        """See base."""
        query = {
            "all": "1",
            "filters": bodies.filters(label=[f"{bodies.DEPLOYMENT}={deployment}"]),
        }
        rows = self._client.ask("GET", "/containers/json", list[answers.Listed], query=query)
        return [seen for row in rows if (seen := answers.listed(row)) is not None]

    def _inspect(self, name: str) -> answers.Inspected | None:
        try:
            return self._client.ask("GET", f"/containers/{name}/json", answers.Inspected)
        except errors.Absent:
            return None

    def logs(
        self,
        handle: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: str = "all",
        since: int | None = None,
    ) -> bytes:
        """See base."""
        query = docker_logs.query(stdout=stdout, stderr=stderr, tail=tail, since=since or 0)
        return self._logs.read(handle, query | {"timestamps": int(timestamps)})

    def follow(
        self,
        handle: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        tail: str = "all",
        since: str = "",
    ) -> base.Console:
        """See base."""
        query = docker_logs.query(stdout=stdout, stderr=stderr, tail=tail, since=since or 0)
        return self._logs.follow(handle, query)

    def top(self, handle: str, ps_args: str | None = None) -> dict[str, list[object]]:
        """See base."""
        found = self._client.ask(
            "GET",
            f"/containers/{handle}/top",
            answers.Processes,
            query={"ps_args": ps_args} if ps_args else None,
        )
        return {"Titles": found.titles, "Processes": found.processes or []}

    def stats(self, handle: str) -> base.Usage:
        """See base."""
        query = {"stream": "false", "one-shot": "true"}
        return answers.usage(
            self._client.ask("GET", f"/containers/{handle}/stats", answers.Stats, query=query)
        )

    def get_archive(self, handle: str, path: str, most: int) -> base.Archive:
        """See base."""
        return self._archives.get(handle, path, most)

    def put_archive(self, handle: str, path: str, data: bytes) -> None:
        """See base."""
        self._archives.put(handle, path, data)

    def events(self, deployment: str) -> Iterator[base.Happened]:
        """See base."""
        filters = bodies.filters(type=["container"], label=[f"{bodies.DEPLOYMENT}={deployment}"])
        stream = self._client.stream("GET", "/events", query={"filters": filters})
        return self._told(stream)

    def _told(self, stream: Stream) -> Iterator[base.Happened]:
        with stream:
            while line := stream.line():
                event = answers.happened(reading.read(line, answers.Told))
                if event is not None:
                    yield event
        if not self._closed:
            raise errors.Unanswered(what=self.what, why="the event stream ended")

    # --- commands inside ---------------------------------------------------------------------

    def execute(self, handle: str, argv: list[str], timeout_s: float) -> base.Executed:
        """See base. What runs out of time is killed."""
        deadline = time.monotonic() + timeout_s
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": argv}
        made = self._client.ask("POST", f"/containers/{handle}/exec", answers.Id, body=body).id
        try:
            output = self._listen(made, deadline)
            return base.Executed(output=output, exit_code=self._ended(made, deadline))
        except errors.TimedOut:
            with contextlib.suppress(errors.DriverError):
                if process := self._consoles.process(handle, made):
                    kill(process)
            raise
        except errors.Refused as error:
            # Newer engines refuse what older ones report as output and exit code.
            if no_program(str(error)) is None and "can't be run" not in str(error):
                raise
            return base.Executed(output=f"{error}\n".encode(), exit_code=126)

    def _listen(self, made: str, deadline: float) -> bytes:
        """Both streams of the command, as they came."""
        demux, kept = Demux(), bytearray()
        body = {"Detach": False, "Tty": False}
        with self._client.stream("POST", f"/exec/{made}/start", body=body) as stream:
            while True:
                if not stream.ready(max(deadline - time.monotonic(), 0)):
                    raise errors.TimedOut(what="executing command")
                data = stream.read()
                if not data:
                    return bytes(kept)
                for _, text in demux.feed(data):
                    kept += text[: OUTPUT - len(kept)]

    def _ended(self, made: str, deadline: float) -> int:
        """Its exit code, which the engine may learn a moment after the output ended."""
        while True:
            found = self._client.ask("GET", f"/exec/{made}/json", answers.InspectedExec)
            if not found.running and found.exit_code is not None:
                return found.exit_code
            if time.monotonic() > deadline:
                raise errors.TimedOut(what="executing command")
            time.sleep(0.02)

    # --- consoles ----------------------------------------------------------------------------

    def attach(self, handle: str) -> base.Console:
        """See base."""
        return self._consoles.attach(handle)

    def resize(self, handle: str, height: int, width: int) -> None:
        """See base."""
        self._consoles.resize(handle, height, width)

    def exec_create(self, handle: str, argv: list[str]) -> str:
        """See base."""
        return self._consoles.create(handle, argv)

    def exec_start(self, handle: str, exec_id: str) -> base.Console:
        """See base."""
        return self._consoles.start(handle, exec_id)

    def exec_resize(self, handle: str, exec_id: str, height: int, width: int) -> None:
        """See base."""
        self._consoles.resize_exec(handle, exec_id, height, width)

    def exec_process(self, handle: str, exec_id: str) -> Process | None:
        """See base."""
        return self._consoles.process(handle, exec_id)

    def close(self) -> None:
        """See base."""
        self._closed = True
        self._client.close()


class _Exists(Exception):
    """The engine has a container of that name."""
