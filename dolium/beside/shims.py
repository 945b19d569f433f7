"""Shims that neither their containerd nor their dockerd will ever end.

Each container has a shim, which outlives both daemons. One that was being started while a daemon
died stays: dockerd takes the container for not running, and every later start fails with "task
already exists" (Docker 20.10 with containerd 1.6, measured). So before a dockerd is started, the
shims of containers that do not run, by what the last dockerd wrote down, are ended; containerd then
removes what hangs on them.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PROGRAM = "containerd-shim"


def end(address: Path, data: Path) -> list[str]:
    """Called while no dockerd runs: end stray shims; returns their containers' ids.

    Args:
        address: the socket of the containerd whose shims are meant.
        data: the data root of the dockerd that works with it.
    """
    stray = []
    for pid, container in _shims(address):
        if not _runs(data / "containers" / container / "config.v2.json"):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended by itself meanwhile
            stray.append(container)
    return stray


def _shims(address: Path) -> Iterator[tuple[int, str]]:
    """Process and container of each shim of this containerd."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        options = dict(pairwise(line))
        if Path(line[0]).name.startswith(PROGRAM) and options.get("-address") == str(address):
            yield int(entry.name), options.get("-id", "")


def _runs(config: Path) -> bool:
    """Whether dockerd wrote down that the container runs (a paused one runs too)."""
    try:
        state = json.loads(config.read_text())["State"]
    except (FileNotFoundError, KeyError, ValueError):
        return False
    return bool(state.get("Running"))
