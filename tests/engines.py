"""Engines of a test's own: a Docker Engine and a Podman service in private namespaces.

Each has its own network, mount and (by cgroup parent) resource tree; nothing of the machine's
own engines is touched and nothing is left over. Needs root.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BUSYBOX = "/bin/busybox"

_UNSHARE = ("unshare", "--net", "--mount", "--propagation", "private")
_NAMESPACE = """
set -e
ip link set lo up
for folder in /run/docker /run/containerd /etc/docker; do
    mkdir -p $folder
    mount -t tmpfs none $folder
done
mkdir -p /etc/docker/plugins /run/docker/plugins
exec "$@"
"""


def missing(*programs: str) -> str | None:
    """Why the engines can't be started here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [program for program in (*programs, "ip", "unshare") if not shutil.which(program)]
    if absent:
        return f"needs {', '.join(absent)}"
    return None if Path(BUSYBOX).exists() else "needs busybox-static"


def wait(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until the condition is true; fails loudly."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def rootfs() -> bytes:
    """A tar with busybox and its programs: an image to import."""
    programs = subprocess.run(
        [BUSYBOX, "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        entry = tar.gettarinfo(BUSYBOX, "bin/busybox")
        with open(BUSYBOX, "rb") as source:
            tar.addfile(entry, source)
        for program in programs:
            if program != "busybox":
                entry = tarfile.TarInfo(f"bin/{program}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
            entry = tarfile.TarInfo(f"etc/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


class Daemon:
    """An engine's process in namespaces of its own; can be killed and started again."""

    def __init__(self, folder: Path, mark: str, command: list[str], socket: Path) -> None:
        self.folder = folder
        self.socket = socket
        self.mark = mark
        self._command = command
        self._holder: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the engine itself."""
        assert self._process is not None
        return self._process.pid

    def nsenter(self, *command: str) -> list[str]:
        """The command line that runs `command` in the engine's namespaces."""
        assert self._holder is not None
        return ["nsenter", "-t", str(self._holder.pid), "-n", "-m", "--", *command]

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        if self._holder is None:
            ready = self.folder / "ready"
            hold = f"touch {ready}; exec sleep infinity"
            self._holder = subprocess.Popen(
                [*_UNSHARE, "sh", "-c", _NAMESPACE, "sh", "sh", "-c", hold]
            )
            wait(ready.exists, "namespaces")
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                self.nsenter(*self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        wait(self._answers, f"{self._command[0]} answers; see {self.folder}/log")

    def _answers(self) -> bool:
        from dolium import errors
        from dolium.drivers.engine.docker_socket import Client

        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"{self._command[0]} ended:\n{(self.folder / 'log').read_text()[-3000:]}")
        client = Client(str(self.socket), timeout_s=5)
        try:
            client.raw("GET", "/_ping")
        except errors.DriverError:
            return False
        finally:
            client.close()
        return True

    def kill(self) -> None:
        """End it without warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it and everything it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._holder is not None:
            for _ in range(50):
                if not (left := self._left()):
                    break
                for pid in left:
                    _kill(pid)
                time.sleep(0.05)
            self._holder.kill()
            self._holder.wait()
            self._holder = None
        _drop_cgroups(self.mark)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> list[int]:
        """Processes in our mount namespace or in a cgroup that bears our mark."""
        assert self._holder is not None
        ours = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self._holder.pid:
                continue
            try:
                inside = os.readlink(f"/proc/{entry}/ns/mnt") == ours
                if inside or self.mark in Path(f"/proc/{entry}/cgroup").read_text():
                    found.append(int(entry))
            except OSError:
                continue  # it ended meanwhile
        return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _drop_cgroups(mark: str) -> None:
    for top in Path("/sys/fs/cgroup").glob(f"*/{mark}"):
        for folder in sorted(top.rglob("*/"), reverse=True):
            _rmdir(folder)
        _rmdir(top)
    if (top := Path("/sys/fs/cgroup") / mark).is_dir():
        for folder in sorted(top.rglob("*/"), reverse=True):
            _rmdir(folder)
        _rmdir(top)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # not empty yet or gone: an empty cgroup harms nobody


@contextmanager
def docker_daemon(tmp_path: Path, *options: str) -> Iterator[Daemon]:
    """A Docker Engine with image `busybox:latest`, no bridge, no rules; yields its Daemon."""
    if why := missing("dockerd", "containerd", "runc"):
        pytest.skip(f"Docker Engine: {why}")
    mark = f"doliumtest{uuid.uuid4().hex[:8]}"
    # Unix sockets have short names; pytest's folders have long ones.
    folder = Path("/tmp") / mark
    folder.mkdir()
    socket = folder / "docker.sock"
    runtimes = ["--add-runtime", "runsc=/usr/bin/runsc"] if shutil.which("runsc") else []
    command = [
        "dockerd",
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("-H", f"unix://{socket}", "-p", str(folder / "pid")),
        *("--bridge=none", "--iptables=false", "--ip6tables=false", "--live-restore"),
        *("--cgroup-parent", f"/{mark}", "--containerd-namespace", mark),
        *runtimes,
        *options,
    ]
    daemon = Daemon(folder, mark, command, socket)
    try:
        daemon.start()
        load_image(str(socket), "busybox:latest")
        yield daemon
    finally:
        daemon.end()


@contextmanager
def private_dockerd(tmp_path: Path, *options: str) -> Iterator[str]:
    """The same for who only wants the path of its socket."""
    with docker_daemon(tmp_path, *options) as daemon:
        yield str(daemon.socket)


def load_image(socket: str, name: str) -> None:
    """Import busybox as image `name`."""
    from dolium.drivers.engine.docker_socket import Client

    repo, _, tag = name.partition(":")
    client = Client(socket)
    query = {"fromSrc": "-", "repo": repo, "tag": tag or "latest", "changes": 'CMD ["sh"]'}
    client.raw("POST", "/images/create", query=query, body=rootfs())
    client.close()
