"""Processes of this machine, as the kernel knows them: to end what an engine has no call for."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Process(Struct, frozen=True, kw_only=True):
    """One process, which no later one of the same number is taken for."""

    pid: int
    started: str
    """See `started`."""


def started(pid: int) -> str:
    """Another text for each process there ever was; empty: it is not in our sight."""
    try:
        # Field 22, counted after the name, which may hold anything.
        ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        return f"{BOOT.read_text().strip()}-{pid}-{ticks}"
    except (OSError, IndexError):
        return ""


def of_container(pid: int, handle: str) -> Process | None:
    """The process of that number, if it is one of the container's: an engine may count otherwise,
    in another machine or namespace.
    """
    try:
        if pid and handle in Path(f"/proc/{pid}/cgroup").read_text() and (text := started(pid)):
            return Process(pid=pid, started=text)
    except OSError:
        pass  # it has ended
    return None


def kill(process: Process) -> None:
    """At once."""
    hang_up([process], 0.0)


def hang_up(processes: Iterable[Process], grace_s: float) -> None:
    """Tell them that their terminal is gone; kill those that are still there after a while."""
    live = {file: process for process in processes if (file := _open(process)) is not None}
    try:
        if grace_s:
            _signal(live, signal.SIGHUP)
            _wait(live, time.monotonic() + grace_s)
        _signal(live, signal.SIGKILL)
    finally:
        for file in live:
            os.close(file)


def _open(process: Process) -> int | None:
    try:
        file = os.pidfd_open(process.pid)
    except OSError:
        return None
    if started(process.pid) == process.started:
        return file
    os.close(file)
    return None


def _signal(files: Iterable[int], number: int) -> None:
    for file in files:
        try:
            signal.pidfd_send_signal(file, number)
        except OSError:
            pass  # it has ended


def _wait(files: dict[int, Process], until: float) -> None:
    """Until all have ended; those that have are taken out."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    while files and (left := until - time.monotonic()) > 0:
        for file, _ in poll.poll(left * 1000):
            poll.unregister(file)
            del files[file]
            os.close(file)
