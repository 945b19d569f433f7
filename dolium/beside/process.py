"""One process beside Dolium that outlives it: started, found again, ended, and never mistaken.

A process is known by its pid, the time the kernel started it and the boot it belongs to; a pid
alone may long be somebody else's. The child writes its own pidfile before it becomes the program,
so there is no moment at which a killed Dolium leaves a process that the next one can't find.
Signals go through a pidfd, which names one process for ever.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dolium import priority
from dolium.beside import files

BOOT = Path("/proc/sys/kernel/random/boot_id")

# $1 is the pidfile, the rest is the program. Field 22 of /proc/PID/stat is the start time; `exec`
# keeps pid and start time. The program gets the umask the parent had.
INTRODUCE = """
pidfile=$1; shift; cd /
read -r stat </proc/$$/stat && read -r boot </proc/sys/kernel/random/boot_id || exit 126
started=$(set -- $stat; echo "${22}")
(umask 077; echo "$$ $started $boot" >"$pidfile") || exit 126
exec "$@"
"""


UNINHERITED = ("OS_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_", "PYTHONDONTWRITEBYTECODE")
"""Beginnings of variables that a child does not get: an openrc's passwords (and oslo.config reads
options from OS_*), what systemd means for Dolium itself, and what makes Python compile everything
again at each start."""


def environment() -> dict[str, str]:
    """What a process beside Dolium inherits of our environment."""
    return {name: v for name, v in os.environ.items() if not name.startswith(UNINHERITED)}


class Identity(NamedTuple):
    """What tells a process from every other one, also from a later one with the same pid."""

    pid: int
    started: int
    """Clock ticks after boot."""
    boot: str


def look(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody has or it is dead and only not buried yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()  # the name before it may contain anything
    # While other threads are still dying its sockets are still open (15 ms, measured).
    if state in "ZX" and int(rest[16]) <= 1:
        return None
    return Identity(pid, int(rest[18]), BOOT.read_text().strip())


class Process:
    """One program with a pidfile and a log, in a session of its own.

    Args:
        name: how sentences call it.
        command: the program and its arguments; never a secret, everybody reads them in /proc.
        pidfile: where it is remembered, 0600.
        log: what its output is appended to, 0600.
        environment: the child's whole environment.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        pidfile: Path,
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.exit: int | None = None
        self._pidfile = pidfile
        self._environment = dict(environment)
        self._lock = threading.RLock()
        self._identity: Identity | None = None
        self._child: int | None = None
        self._logged = 0

    @property
    def pid(self) -> int | None:
        """Its pid, None before `start` or `adopt`."""
        return self._identity.pid if self._identity else None

    def start(self) -> int:
        """Start it and return its pid; whoever runs already must have been adopted or stopped."""
        with self._lock:
            log = files.log(self.log)
            self._logged = os.fstat(log).st_size
            try:
                with priority.among_equals():
                    pid = self._spawn(log)
            finally:
                os.close(log)
            self.exit, self._child, self._identity = None, pid, look(pid)
            return pid

    def _spawn(self, log: int) -> int:
        # Not subprocess.Popen: that one complains about a child that is left running.
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", INTRODUCE, "sh", str(self._pidfile), *self.command],
            self._environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            # Python ignores some signals, `nohup` and shells make us ignore others; what an engine
            # ignores, its containers do.
            setsigdef=signal.valid_signals(),
        )

    def adopt(self) -> bool:
        """Called at start: whether the process of the pidfile still runs; it is ours again then."""
        with self._lock:
            if self.alive():
                return True
            try:
                pid, started, boot = self._pidfile.read_text().split()
                remembered = Identity(int(pid), int(started), boot)
            except (FileNotFoundError, ValueError):
                return False
            if look(remembered.pid) != remembered:
                return False
            self.exit, self._child, self._identity = None, None, remembered
            return True

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        with self._lock:
            living = self._identity is not None and look(self._identity.pid) == self._identity
            self._bury()
            return living

    def ended(self, timeout: float, wake: int | None = None) -> bool:
        """Wait at most `timeout` seconds for its end, less if the descriptor `wake` is readable."""
        descriptor = self._open()
        if descriptor is None:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if wake is not None:
                poll.register(wake, select.POLLIN)
            return any(ready == descriptor for ready, _ in poll.poll(max(0, int(timeout * 1000))))
        finally:
            os.close(descriptor)

    def stop(self, timeout: float = 10.0) -> None:
        """End it: SIGTERM, after `timeout` seconds SIGKILL to its whole group. Idempotent."""
        with self._lock:
            descriptor = self._open()
            if descriptor is not None:
                os.close(descriptor)
                self._signal(signal.SIGTERM)
                if not self.ended(timeout):
                    self._signal(signal.SIGKILL)
                    self.ended(timeout)
            self._bury()
            self._identity = None
            self._pidfile.unlink(missing_ok=True)

    def said(self) -> list[str]:
        """What it has logged since it was started (or at all, if it was adopted)."""
        return files.tail(self.log, self._logged)

    def _signal(self, number: signal.Signals) -> None:
        descriptor = self._open()
        if descriptor is None or self._identity is None:
            return
        try:
            if number is signal.SIGKILL:
                # It leads its group and was alive a moment ago, so the group's number is its own.
                os.killpg(self._identity.pid, number)
            else:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass  # it ended by itself meanwhile
        finally:
            os.close(descriptor)

    def _open(self) -> int | None:
        """A pidfd of exactly this process, None if it is gone."""
        if self._identity is None:
            return None
        try:
            descriptor = os.pidfd_open(self._identity.pid)
        except ProcessLookupError:
            return None
        if look(self._identity.pid) == self._identity:  # checked after opening: no gap between
            return descriptor
        os.close(descriptor)
        return None

    def _bury(self) -> None:
        """Take the exit code of a dead child, so that its pid is free."""
        if self._child is None:
            return
        try:
            pid, status = os.waitpid(self._child, os.WNOHANG)
        except ChildProcessError:
            self._child = None  # somebody else has taken it
            return
        if pid:
            self.exit, self._child = os.waitstatus_to_exitcode(status), None
