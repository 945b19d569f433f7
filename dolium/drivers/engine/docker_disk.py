"""The disk of a Docker Engine: how large it is, and whether containers can get a part of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from dolium.drivers.engine.docker_answers import Info


def size_gib(folder: str) -> int:
    """Of the file system that the engine keeps its files in; 0 where nobody can tell."""
    try:
        return shutil.disk_usage(folder).total >> 30
    except OSError:
        return 0  # the engine's files are not ours to see


def quota(info: Info) -> bool:
    """Whether the engine's storage can limit one container's disk."""
    if info.driver in ("btrfs", "zfs", "devicemapper"):
        return True
    backing = dict(info.driver_status or ()).get("Backing Filesystem")
    if info.driver != "overlay2" or backing != "xfs":
        return False
    return _project_quota(info.docker_root_dir)


def _project_quota(folder: str) -> bool:
    """Whether the file system that holds the folder is mounted with project quota."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return False
    mounts = {line.split()[1]: line.split()[3].split(",") for line in lines}
    holder = Path(folder)
    while str(holder) not in mounts and holder != holder.parent:
        holder = holder.parent
    return not {"prjquota", "pquota"}.isdisjoint(mounts.get(str(holder), ()))
