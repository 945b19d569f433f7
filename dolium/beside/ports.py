"""Is a TCP port free, and who has it if not."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from dolium.beside import errors

LISTEN = "0A"


def check(address: str, port: int) -> None:
    """Called before something is started that will listen there; raises PortTaken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise errors.PortTaken(port=port, address=address, holder=holder(port)) from None


def holder(port: int) -> str:
    """` by NAME (pid N)` of who listens on the port, as far as we may see it; otherwise empty."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(_link(fd) in sockets for fd in (process / "fd").iterdir()):
                return f" by {(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue  # it has ended meanwhile, or it is not ours to look into
    return ""


def _link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except FileNotFoundError:
        return ""  # closed meanwhile


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
