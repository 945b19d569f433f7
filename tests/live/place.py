"""Network, mount and process namespaces of a test's own: a small machine inside the machine.

Everything that runs in them ends when the test's process ends, even by SIGKILL: the first process
inside waits for the end of a pipe that only the test holds, and a keeper outside then removes
folders and control groups.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests import engines

NEEDED = ("dockerd", "docker", "containerd", "runc", "nsenter", "mount", "nft")

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000

_KEEPER = """
folder=$1; shift
exec 3<&0
"$@" <&3 &
machine=$!
cat <&3 >/dev/null
marks() { cat "$folder"/marks 2>/dev/null | sort -u; }
# What is frozen can't be killed (control groups v1), and a machine with it would never end.
while kill -0 $machine 2>/dev/null; do
    for mark in $(marks); do
        find /sys/fs/cgroup/freezer/"$mark" -mindepth 1 -name freezer.state 2>/dev/null |
            while read -r state; do echo THAWED >"$state"; done
    done
    sleep 0.05
done
wait $machine
for mark in $(marks); do
    for tree in /sys/fs/cgroup/*/"$mark" /sys/fs/cgroup/"$mark"; do
        [ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null
    done
done
umount -l "$folder"/state 2>/dev/null
rm -rf --one-file-system "$folder"
"""

_MACHINE = """
set -e
# Read from the old /proc, which knows this shell by the number it has outside.
read -r outside _ </proc/self/stat
exec 3<&0
mount -t proc proc /proc
ip link set lo up
# A sysfs of this network namespace, with the control groups that engines look for below it.
cgroups=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$cgroups"
umount -l /sys
mount -t sysfs sysfs /sys
mount --rbind "$cgroups" /sys/fs/cgroup
umount -l "$cgroups"
rmdir "$cgroups"
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/lock /run/docker/plugins /etc/docker
mount -t tmpfs none /etc/docker
# A name server that nobody can reach, at once (there is no route): no registry answers here.
echo nameserver 10.99.99.53 >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
echo "$outside" >"$1/holder"
cat <&3 >/dev/null &
# The first process stays, to bury what killed daemons leave.
wait $!
"""


def missing() -> str | None:
    """Why there can be no such machine here, or None."""
    return engines.missing(*NEEDED)


class Place:
    """The namespaces, entered by the calling thread's network while used as a context."""

    def __init__(self, state_mib: int | None = None) -> None:
        """state_mib: its folder `state` is a file system of this size, which can be filled."""
        self.folder = Path(tempfile.mkdtemp(prefix="dolium-live-", dir="/tmp"))
        if state_mib is not None:
            state = self.folder / "state"
            state.mkdir()
            size = f"size={state_mib}m,mode=755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", state], check=True)
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        unshare = ["unshare", "--net", "--mount", "--propagation", "private"]
        unshare += ["--pid", "--fork", "--kill-child", "sh", "-c", _MACHINE, "machine"]
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "keeper", str(self.folder), *unshare, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test, the keeper cleans up after it
        )
        self._told = self.folder / "holder"
        until(lambda: self._told.exists() and self._told.read_text().strip(), "namespaces")
        self.holder = int(self._told.read_text())
        """The first process inside, by its number outside."""

    def __enter__(self) -> Place:
        self.join()
        return self

    def __exit__(self, *_: object) -> None:
        _setns(self._home)
        os.close(self._home)
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(60)

    def join(self) -> None:
        """Let the calling thread, and threads it starts, talk on this place's network."""
        descriptor = os.open(f"/proc/{self.holder}/ns/net", os.O_RDONLY)
        try:
            _setns(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """The calling thread is back on the machine's own network meanwhile."""
        _setns(self._home)
        try:
            yield
        finally:
            self.join()

    @property
    def root(self) -> Path:
        """The file system inside, seen from outside."""
        return Path(f"/proc/{self.holder}/root")

    def seen(self, path: Path | str) -> Path:
        """A path of inside, for who is outside."""
        return self.root / str(path).lstrip("/")

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` inside."""
        return ["nsenter", "-t", str(self.holder), "-n", "-m", "-p", "--", *command]

    def run(self, *command: str, check: bool = True) -> str:
        """What a command inside prints."""
        done = subprocess.run(
            self.command(*command), capture_output=True, text=True, timeout=120, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{command} -> {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def processes(self) -> dict[int, list[str]]:
        """All processes inside by their numbers there, with their command lines; no zombies."""
        found = {}
        for entry in (self.root / "proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue  # it ended meanwhile
                if line:
                    found[int(entry.name)] = line.decode(errors="replace").split("\0")[:-1]
        return found

    def named(self, *programs: str) -> list[int]:
        """Processes whose command line begins so: a program's name and its first arguments."""
        return [
            pid
            for pid, line in self.processes().items()
            if [Path(line[0]).name, *line[1 : len(programs)]] == list(programs)
        ]

    def kill(self, pid: int, signal: int = 9) -> None:
        """Send a signal to a process by its number inside; one that has ended is fine."""
        self.run("kill", f"-{signal}", str(pid), check=False)

    def mark(self, cgroup: str) -> None:
        """Remember a control group to be removed at the end."""
        with (self.folder / "marks").open("a") as marks:
            marks.write(f"{cgroup}\n")


def port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(condition: Callable[[], T], what: str, seconds: float = 60.0, step: float = 0.02) -> T:
    """The first true value of a condition; fails loudly with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(step)
    return value


def _setns(descriptor: int) -> None:
    # os.setns comes with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def environment() -> dict[str, str]:
    """Ours without what would slow daemons down or tell clients something else."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("OS_")
    }
