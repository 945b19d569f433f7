"""Which run of the engine's own process answers on a socket, read from the kernel."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from dolium.drivers.engine.process import started


def incarnation(path: str, program: str) -> str:
    """Another text after each start of the process that serves the socket; empty: can't tell.

    program: the engine's process name, looked for when somebody else (systemd) made the socket.
    Raises OSError when nobody listens.
    """
    pid = _server(path, program)
    if not pid:
        return ""
    return started(pid)


def cpus(path: str, program: str) -> tuple[int, ...]:
    """The CPUs that the process, and so its containers, may use; empty: can't tell."""
    try:
        pid = _server(path, program)
        return tuple(sorted(os.sched_getaffinity(pid))) if pid else ()
    except OSError:
        return ()


def _server(path: str, program: str) -> int:
    """Process id of who serves the socket, whoever made it; 0 when it is not in our sight."""
    pid = peer(path)
    return only(program) if pid and _name(pid) != program else pid


def peer(path: str) -> int:
    """Process id of who listens on a unix socket; 0 when it is not in our sight."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(path)
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def only(program: str) -> int:
    """Process id of the one process of that name that is not inside a container; else 0."""
    found = [
        int(entry)
        for entry in os.listdir("/proc")
        if entry.isdigit() and _name(int(entry)) == program and _beside_us(int(entry))
    ]
    return found[0] if len(found) == 1 else 0


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _beside_us(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False
