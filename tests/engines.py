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

from dolium import errors
from dolium.drivers.engine.docker_answers import Id
from dolium.drivers.engine.docker_socket import Client

BUSYBOX = "/bin/busybox"
MARK = "doliumtest"
"""Everything of these engines has a name that begins so."""

_UNSHARE = ("unshare", "--net", "--mount", "--propagation", "private")
_NAMESPACE = """
set -e
ip link set lo up
for folder in /run/docker /run/containerd /etc/docker /run/containers /etc/containers; do
    mkdir -p $folder
    mount -t tmpfs none $folder
done
mkdir -p /etc/docker/plugins /run/docker/plugins
# A name server that nobody can reach, at once (no route): see `silent_network`.
echo nameserver 10.99.99.53 > $1/resolv.conf
mount --bind $1/resolv.conf /etc/resolv.conf
echo '{"default":[{"type":"insecureAcceptAnything"}]}' > /etc/containers/policy.json
cat > /etc/containers/containers.conf <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
END
touch $1/ready
exec sleep infinity
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


def rootfs(more: bytes = b"") -> bytes:
    """A tar with busybox and its programs, and maybe a file of some bytes: an image to import."""
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
        files = {
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": b"root:x:0:\n",
            "tmp/more": more,
        }
        for name, content in files.items():
            if content:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def cgroup(pid: int, v1: str, v2: str) -> str:
    """A process's value of a limit: `controller/file` of cgroup v1, or the file of v2."""
    controller, file = v1.split("/")
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}/{file}").read_text()
    path = Path(f"/proc/{pid}/cgroup").read_text().split("::", 1)[1].strip()
    return Path(f"/sys/fs/cgroup{path}/{v2}").read_text()


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

    @property
    def root(self) -> Path:
        """Its file system as seen from outside: /run/docker/plugins and the like."""
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/root")

    def nsenter(self, *command: str) -> list[str]:
        """The command line that runs `command` in the engine's namespaces."""
        assert self._holder is not None
        return ["nsenter", "-t", str(self._holder.pid), "-n", "-m", "--", *command]

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        if self._holder is None:
            self._holder = subprocess.Popen(
                [*_UNSHARE, "sh", "-c", _NAMESPACE, "sh", str(self.folder)]
            )
            wait((self.folder / "ready").exists, "namespaces")
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
        # Docker's containerd dies with it, but a moment later, and where nobody reaps orphans it
        # stays a zombie: the next dockerd would take its pid for a living one.
        pidfile = self.folder / "exec/containerd/containerd.pid"
        if pidfile.exists():
            wait(lambda: _dead(int(pidfile.read_text())), "containerd is gone")
            pidfile.unlink()

    def end(self) -> None:
        """End it and everything it started."""
        self._empty()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _end_all(self.mark, self.folder)
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            self._holder = None

    @contextmanager
    def silent_network(self) -> Iterator[None]:
        """Packets go out and nothing ever comes back, as behind a bad firewall."""
        for command in (
            ["link", "add", "hole", "type", "veth", "peer", "name", "bottom"],
            ["link", "set", "bottom", "up"],
            ["link", "set", "hole", "up"],
            ["addr", "add", "10.99.99.1/24", "dev", "hole"],
            ["neigh", "add", "10.99.99.53", "lladdr", "02:00:00:00:00:53", "dev", "hole"],
        ):
            subprocess.run(self.nsenter("ip", *command), check=True)
        try:
            yield
        finally:
            subprocess.run(self.nsenter("ip", "link", "del", "hole"), check=True)

    def _empty(self) -> None:
        """Remove its containers: what an engine leaves running may outlive it."""
        client = Client(str(self.socket))
        try:
            for row in client.ask("GET", "/containers/json", list[Id], query={"all": "1"}):
                client.raw("DELETE", f"/containers/{row.id}", query={"force": "1", "v": "1"})
        except errors.DriverError:
            pass  # it is down; what is left is found by its namespace and cgroup
        finally:
            client.close()


def _dead(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def _sweep() -> None:
    """Remove what test runs that were killed themselves left over."""
    for folder in Path("/tmp").glob(f"{MARK}*"):
        try:
            pid, started = (folder / "owner").read_text().split()
        except (OSError, ValueError):
            continue  # just being made, or not ours to judge
        if _started(int(pid)) != started:
            _end_all(folder.name, folder)


def _started(pid: int) -> str:
    """When a process was started, in the kernel's ticks; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def _end_all(mark: str, folder: Path) -> None:
    """End all processes of one engine, then remove its control groups and files."""
    for _ in range(100):
        if not (left := _marked(mark)):
            break
        for pid in left:
            _kill(pid)
        time.sleep(0.05)
    _drop_cgroups(mark)
    shutil.rmtree(folder, ignore_errors=True)


def _marked(mark: str) -> list[int]:
    """Processes that see a mount below our folder: namespaces, daemons, shims, containers."""
    here = os.readlink("/proc/self/ns/mnt")
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (
                os.readlink(f"/proc/{entry}/ns/mnt") != here
                and mark in Path(f"/proc/{entry}/mountinfo").read_text()
            ):
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
def docker_daemon(*options: str) -> Iterator[Daemon]:
    """A Docker Engine with image `busybox:latest`, no bridge, no rules; yields its Daemon."""
    if why := missing("dockerd", "containerd", "runc"):
        pytest.skip(f"Docker Engine: {why}")
    mark = f"{MARK}{uuid.uuid4().hex[:8]}"
    folder = _folder(mark)
    socket = folder / "docker.sock"
    runtimes = []
    if runsc := shutil.which("runsc"):
        # gVisor's own network stack wants raw sockets on the host's; the container's will do.
        wrapper = folder / "runsc"
        wrapper.write_text(f'#!/bin/sh\nexec {runsc} --network=host "$@"\n')
        wrapper.chmod(0o755)
        runtimes = ["--add-runtime", f"runsc={wrapper}"]
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


def _folder(mark: str) -> Path:
    _sweep()
    folder = Path("/tmp") / mark  # not pytest's: names of unix sockets must be short
    folder.mkdir()
    (folder / "owner").write_text(f"{os.getpid()} {_started(os.getpid())}")
    return folder


@contextmanager
def podman_daemon() -> Iterator[Daemon]:
    """A Podman service with image `busybox:latest`; yields its Daemon."""
    if why := missing("podman", "crun"):
        pytest.skip(f"Podman: {why}")
    mark = f"{MARK}{uuid.uuid4().hex[:8]}"
    folder = _folder(mark)
    socket = folder / "podman.sock"
    service = [
        "podman",
        *("--root", str(folder / "root"), "--runroot", str(folder / "run")),
        *("--tmpdir", str(folder / "tmp"), "--cgroup-manager", "cgroupfs"),
        *("--storage-driver", "overlay", "--runtime", "crun"),
        *("system", "service", "--time=0", f"unix://{socket}"),
    ]
    # crun refuses a cgroup v2 tree beside v1 ones.
    hybrid = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
    daemon = Daemon(folder, mark, ["sh", "-c", hybrid, "podman", *service], socket)
    try:
        daemon.start()
        load_image(str(socket), "busybox:latest")
        yield daemon
    finally:
        daemon.end()


@contextmanager
def private_dockerd(tmp_path: Path | None = None, *options: str) -> Iterator[str]:
    """A Docker Engine of one's own, for who only wants the path of its socket."""
    with docker_daemon(*options) as daemon:
        yield str(daemon.socket)


def load_image(socket: str, name: str, more: bytes = b"") -> None:
    """Import busybox as image `name`; more: of a file that makes it larger."""
    repo, _, tag = name.partition(":")
    client = Client(socket)
    query = {"fromSrc": "-", "repo": repo, "tag": tag or "latest", "changes": 'CMD ["sh"]'}
    client.raw("POST", "/images/create", query=query, body=rootfs(more))
    client.close()
