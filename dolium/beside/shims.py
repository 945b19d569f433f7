"""What neither containerd nor dockerd will ever end: containers whose start a death cut in two.

Each container has a shim, which outlives both daemons. One that was being started while a daemon
died stays, in whole or in parts; dockerd takes it for not running, and every later start fails with
"task already exists" or "mkdir ...: file exists" (Docker 20.10 with containerd 1.6, measured). So
after a death, before the daemons are started again, all that is left of containers that do not run,
by what dockerd wrote down last, is removed here: shim, processes, control groups, folders. What
dockerd gives up only while it starts (its containerd forgot a container that ran: measured when a
death followed a start within 2 s) is a stray from then on.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from dolium.beside.engine_files import Places

LOG = logging.getLogger(__name__)

PROGRAM = "containerd-shim"
CGROUPS = Path("/sys/fs/cgroup")
CTR_S = 20.0
GONE_S = 5.0
"""How long killed processes may take to leave their control groups."""
ENDING_S = 2.0
"""How long the shim of a container may stay after dockerd wrote down its end."""


def strays(places: Places, name: str) -> list[str]:
    """Ids of containers that do not run, as dockerd wrote down, and have left something.

    Args:
        places: of the engine whose containers are meant.
        name: of its control groups and containerd namespace.
    """
    bundles = _bundles(places, name)
    known = {folder.name for folder in bundles.iterdir()} if bundles.is_dir() else set()
    return sorted(
        container
        for container in known | {container for _, container in _shims(places.containerd)}
        if container and not _state(places, container).get("Running")  # paused is running too
    )


def stay(places: Places, name: str) -> bool:
    """Called while the daemons run and nobody starts anything: whether there are strays.

    A container that has just ended has a shim for another moment.
    """
    deadline = time.monotonic() + ENDING_S
    while found := strays(places, name):
        if time.monotonic() > deadline:
            LOG.warning("containers that do not run have left processes: %s", ", ".join(found))
            return True
        time.sleep(0.05)
    return False


def end(places: Places, name: str) -> list[str]:
    """Called while neither daemon runs; returns the ids of the containers that were ended."""
    ended: list[str] = []
    deadline = time.monotonic() + GONE_S
    # Again: what containerd was just starting when it died may have become a shim meanwhile.
    while (found := strays(places, name)) and time.monotonic() < deadline:
        for container in found:
            _end(places, name, container)
        ended += found
    return sorted(set(ended))


def _end(places: Places, name: str, container: str) -> None:
    for pid, its in list(_shims(places.containerd)):
        if its == container:
            _kill(pid)
    _empty(name, container)
    bundle = _bundles(places, name) / container
    if os.path.ismount(bundle / "rootfs"):
        subprocess.run(["umount", "-l", str(bundle / "rootfs")], check=False)
    for folder in (bundle, *_runtime_folders(places, name, container)):
        shutil.rmtree(folder, ignore_errors=True)


def thaw(places: Places, name: str) -> list[str]:
    """Called before dockerd starts, while containerd runs: go on with what was being paused.

    A container whose pause was cut in two is frozen and dockerd calls it running: it would neither
    pause it ("cannot pause a paused container") nor unpause it. Returns the containers' ids.
    """
    ctr = ["ctr", "--address", str(places.containerd), "--namespace", name, "task"]
    try:
        listed = subprocess.run([*ctr, "ls"], capture_output=True, text=True, timeout=CTR_S)
        thawed = []
        for line in listed.stdout.splitlines():
            container, *_, status = line.split() or ["", ""]
            if status == "PAUSED" and not _state(places, container).get("Paused"):
                subprocess.run([*ctr, "resume", container], capture_output=True, timeout=CTR_S)
                thawed.append(container)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []  # a containerd without its tool; the container stays as it is
    return thawed


def living(places: Places) -> bool:
    """Whether any container of the engine at these places has a shim."""
    return any(True for _ in _shims(places.containerd))


def _bundles(places: Places, name: str) -> Path:
    """Where containerd has a folder for each container with a shim."""
    return places.run / "containerd" / "io.containerd.runtime.v2.task" / name


def _runtime_folders(places: Places, name: str, container: str) -> list[Path]:
    """Where runc or another runtime wrote down what it knows of the container."""
    return list((places.run / "exec").glob(f"runtime-*/{name}/{container}"))


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


def _state(places: Places, container: str) -> dict[str, Any]:
    """What dockerd wrote down last about a container."""
    path = places.state / "data" / "containers" / container / "config.v2.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text())["State"]
    except (FileNotFoundError, KeyError, ValueError):
        return {}
    return state


def _empty(name: str, container: str) -> None:
    """Kill what is in the container's control groups and remove them."""
    # With systemd: NAME.slice/docker-ID.scope.
    trees = [tree for top in ("", "*/") for tree in CGROUPS.glob(f"{top}{name}*/*{container}*")]
    deadline = time.monotonic() + GONE_S
    while (left := [tree for tree in trees if tree.is_dir()]) and time.monotonic() < deadline:
        for tree in left:
            for folder, _, _ in os.walk(tree, topdown=False):
                _clear(Path(folder))
        time.sleep(0.01)


def _clear(group: Path) -> None:
    try:
        for pid in (group / "cgroup.procs").read_text().split():
            _kill(int(pid))
        group.rmdir()
    except OSError:
        pass  # gone, or what was killed has not left yet


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself meanwhile
