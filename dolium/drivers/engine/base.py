"""The interface of an engine driver. Handles are the engine's own ids, opaque to everybody else.

Every method may be called again after a crash with the same arguments. Outcomes that are not
known (time-out, lost connection, engine down) raise `errors.Unanswered`; a definite refusal
raises `errors.Refused`, `errors.Absent`, `errors.ImageMissing` or `errors.Full`.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

from msgspec import Struct

from dolium.drivers.engine.process import Process
from dolium.model.container import Seen, Spec
from dolium.model.image import Found, Held, Progress
from dolium.model.network import Network, Port
from dolium.model.registry import Login


class Facts(Struct, frozen=True, kw_only=True):
    """What an engine says about itself."""

    name: str
    """`docker`, `podman`."""
    version: str
    cpus: int
    memory_mib: int
    disk_gib: int
    """Size of the file system that holds its containers."""
    architecture: str = ""
    os: str = ""
    kernel_version: str = ""
    runtimes: tuple[str, ...] = ()
    disk_quota: bool = False
    cpu_ids: tuple[int, ...] = ()
    """The CPUs its containers may use, as the kernel numbers them; empty: it can't tell."""


class Labels(Struct, frozen=True, kw_only=True):
    """The mark that everything of ours bears in an engine (decision 16)."""

    deployment: str
    uuid: str
    generation: int


class Plug(Struct, frozen=True, kw_only=True):
    """One port as the engine is to wire it."""

    port: Port
    network: Network
    token: str
    """Single-use: shows our network plugin that this endpoint is the one it was told of."""
    aliases: tuple[str, ...] = ()
    """Names by which other containers of the network reach it."""


class Happened(Struct, frozen=True, kw_only=True):
    """One event of the engine about a container of ours: look at it again."""

    uuid: str
    what: str


class Executed(Struct, frozen=True, kw_only=True):
    """How a command inside a container ended; 126/127 when it could not be started."""

    output: bytes
    exit_code: int


class Console(Struct, frozen=True, kw_only=True):
    """The bytes of a terminal."""

    socket: socket.socket
    """To be closed by who opened it."""
    early: bytes = b""
    """What was read of the socket already."""
    process: Process | None = None
    """Of a command: to be ended with the console. None: it is not in our sight."""
    through: Callable[[bytes], bytes] = bytes
    """Makes of what is read what the process wrote, piece by piece."""


class Stat(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a path inside a container is, with the keys and in the forms of Docker."""

    name: str
    size: int
    mode: int
    """Permissions and kind as Go writes them."""
    mtime: str
    link_target: str = ""


class Archive(Struct, frozen=True, kw_only=True):
    """A path inside a container and all below it."""

    stat: Stat
    data: bytes
    """As a tar."""


class Usage(Struct, frozen=True, kw_only=True):
    """Resources in use, raw, as the engine counts them."""

    cpu_ns: int
    system_cpu_ns: int
    memory: int
    """Bytes, without the inactive file cache."""
    memory_limit: int
    read: int
    written: int
    received: int
    sent: int


class Engine(ABC):
    """What an agent needs of an engine."""

    name: ClassVar[str]
    can: ClassVar[frozenset[str]] = frozenset()
    """Capabilities: `plugin-networks`, `pause`, `update`, `pin`, `stats`, `top`, `archive`,
    `disk-quota`, `events`, `sandbox`. What is missing here is skipped by the conformance suite and
    answered 409."""

    @abstractmethod
    def facts(self) -> Facts:
        """When the agent starts and each time the engine comes back."""

    def incarnation(self) -> str:
        """Before each start and after each exit: which run of the engine answers.

        Another text after each start of the engine itself, and cheap to tell (a process id and
        its start time, say). Containers that ran under another incarnation went down with it.
        Empty when it can't tell; then only a restart of the machine is noticed.
        """
        return ""

    @abstractmethod
    def pull(
        self,
        image: str,
        policy: str,
        stop: Callable[[], bool] = lambda: False,
        login: Login | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> str | None:
        """Before a create: make the image present, as the policy says.

        policy: `always`, `ifnotpresent` or `never`. With `always` and a registry that can't be
        reached within 3 s a present image serves; the sentence returned says so (decision 5).
        `stop` is asked now and then: True gives up with Unanswered. `login` signs in at the
        image's registry. `told` is called when a registry is about to be asked, and often while
        the image comes down, by another's pull too. Raises ImageMissing when the registry (or,
        for `never`, the host) definitely has none, Refused when the registry denies access and
        for a name that is not for users (model.image.reserved), Unanswered when it can't be
        reached and no image is present, Full when the disk is.
        """

    @abstractmethod
    def image(self, image: str) -> Held | None:
        """After a pull that an administrator asked for: the image, if the host has it."""

    @abstractmethod
    def load(self, name: str, pieces: Iterator[bytes]) -> None:
        """When an image comes from Glance: make the one image of an archive, as `docker save`
        writes it, present under this name and no other, whatever the archive says: it is a
        user's own. Nothing of it is kept when `pieces` raises. Raises Refused for what is no such
        archive.
        """

    @abstractmethod
    def commit(self, handle: str, name: str) -> None:
        """When a container is to become an image: make one of it, of this name, where there is
        none. Meanwhile its processes are frozen.
        """

    @abstractmethod
    def save(self, name: str) -> Iterator[bytes]:
        """When such an image goes to Glance: an archive of it. Raises Absent at once."""

    @abstractmethod
    def remove_image(self, image: str) -> None:
        """When an administrator asks for it: forget that name, and the image when it was the last.
        Absent is fine. Raises Refused while a container is made of it.
        """

    @abstractmethod
    def search_images(self, name: str) -> list[Found]:
        """When a user looks for an image: what the registry has that can be searched. Raises
        Unanswered when it can't be reached.
        """

    @abstractmethod
    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """Before the first container of a network: make the engine know it (idempotent).

        plugin: the name under which our network plugin is registered on this machine;
        deployment: the mark by which `wired` finds the network again.
        """

    @abstractmethod
    def unwire(self, network_uuid: str) -> None:
        """After the last one: make the engine forget the network; fine when it never knew."""

    @abstractmethod
    def wired(self, deployment: str) -> list[str]:
        """In the periodic look: ids of our networks that the engine knows."""

    @abstractmethod
    def sandbox_image(self) -> str:
        """Before a sandbox is created: make the image that does nothing present; returns its
        name.
        """

    @abstractmethod
    def create(
        self,
        name: str,
        spec: Spec,
        plugs: tuple[Plug, ...],
        labels: Labels,
        sandbox: str | None = None,
    ) -> str:
        """After the image is there: make the container, not started; returns the handle.

        A container of that name with equal labels is adopted. No plugs: network `none`. The files
        of the spec are in it, and folders around them.

        sandbox: the name of the container whose network and IPC it shares, which exists and
        has to run when it is started; with its own name it is made to be shared.
        """

    @abstractmethod
    def prepare(self, name: str, deployment: str) -> str:
        """Before anybody wants it: make a sandbox that runs and is on no network; returns the
        handle. Until it is handed over no listing, look or event knows it.
        """

    @abstractmethod
    def prepared(self, deployment: str) -> list[str]:
        """Handles of sandboxes that were made so and that nobody has been given."""

    @abstractmethod
    def hand_over(self, handle: str, name: str) -> None:
        """From now on it is the container of that engine name (model.container.engine_name), as
        if it had been created and started as such; `connect` puts it on networks. Raises Absent,
        and Refused when there is another container of that name.
        """

    @abstractmethod
    def start(self, handle: str) -> None:
        """Start the process. Already running is fine. Raises Unwired when the engine has
        forgotten a network of the container.
        """

    @abstractmethod
    def rejoin(self, handle: str, plugs: tuple[Plug, ...]) -> None:
        """After a start raised Unwired: join the resting container to its networks anew."""

    @abstractmethod
    def connect(self, handle: str, plug: Plug) -> None:
        """When a container that runs or rests is put on a network; on it already is fine. Raises
        Unwired when the engine does not know the network.
        """

    @abstractmethod
    def disconnect(self, handle: str, network_uuid: str) -> None:
        """When it is taken off a network; not on it is fine. Without any it has network `none`."""

    @abstractmethod
    def stop(self, handle: str, timeout_s: int) -> None:
        """SIGTERM (or the image's own signal), after timeout_s SIGKILL. Not running is fine."""

    @abstractmethod
    def kill(self, handle: str, signal: str) -> None:
        """Send a signal, once."""

    @abstractmethod
    def pause(self, handle: str) -> None:
        """Freeze all its processes; paused already is fine."""

    @abstractmethod
    def unpause(self, handle: str) -> None:
        """Thaw; not paused is fine."""

    @abstractmethod
    def update(self, handle: str, spec: Spec) -> None:
        """Apply the spec's cpu and memory to the running or resting container."""

    @abstractmethod
    def pin(self, handle: str, cpus: tuple[int, ...]) -> None:
        """Let the running or resting container use these CPUs (at least one) and no others."""

    @abstractmethod
    def remove(self, handle: str) -> None:
        """After it stopped: remove it and its anonymous volumes. Absent is fine."""

    @abstractmethod
    def look(self, name: str) -> Seen | None:
        """One container of ours by its engine name, with `look` filled; None when absent."""

    @abstractmethod
    def listing(self, deployment: str) -> list[Seen]:
        """All containers that bear the deployment's label, cheap, without `look`."""

    @abstractmethod
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
        """Output so far, both streams in order."""

    @abstractmethod
    def follow(
        self,
        handle: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        tail: str = "all",
        since: str = "",
    ) -> Console:
        """When somebody reads on: output so far and as it comes, each line with its stamp, in
        pieces (model/log.py), ended when the process has.

        What was written last may be missing then: who wants all asks again. since: seconds since
        the epoch, which may have a fraction; lines of that very moment are among them.
        """

    @abstractmethod
    def execute(self, handle: str, argv: list[str], timeout_s: float) -> Executed:
        """Run a command inside, wait for its end; raises TimedOut."""

    @abstractmethod
    def attach(self, handle: str) -> Console:
        """When somebody comes to the console of a container: its main process's input and output
        from now on, any number of times.
        """

    @abstractmethod
    def resize(self, handle: str, height: int, width: int) -> None:
        """When the window of who is attached has changed; raises NoConsole."""

    @abstractmethod
    def exec_create(self, handle: str, argv: list[str]) -> str:
        """When a user wants a command with a terminal: prepare it; returns its id."""

    @abstractmethod
    def exec_start(self, handle: str, exec_id: str) -> Console:
        """When that user's console comes: run it, once. Raises NoConsole unless it is a command
        of this container that was not started before.
        """

    @abstractmethod
    def exec_resize(self, handle: str, exec_id: str, height: int, width: int) -> None:
        """When the window has changed; raises NoConsole unless the command runs."""

    @abstractmethod
    def exec_process(self, handle: str, exec_id: str) -> Process | None:
        """When an agent that was killed left its console: the command's process. None when it has
        ended, or is not in our sight.
        """

    @abstractmethod
    def top(self, handle: str, ps_args: str | None = None) -> dict[str, list[object]]:
        """Processes inside: {"Titles": [...], "Processes": [[...]]}."""

    @abstractmethod
    def stats(self, handle: str) -> Usage:
        """Resources in use now."""

    @abstractmethod
    def get_archive(self, handle: str, path: str, most: int) -> Archive:
        """When files are copied out of a container that runs or rests.

        Raises NoPath, and Oversized when the tar has more than `most` bytes.
        """

    @abstractmethod
    def put_archive(self, handle: str, path: str, data: bytes) -> None:
        """When files are copied in: unpack a tar in a folder that is there; raises NoPath."""

    @abstractmethod
    def events(self, deployment: str) -> Iterator[Happened]:
        """An endless stream for a thread of the agent's own; raises Unanswered when it breaks."""

    @abstractmethod
    def close(self) -> None:
        """When the agent stops: end streams and connections."""
