"""Can this machine run containers: each question asked by trying, before anything is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dolium.beside import errors

PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where daemons are looked for: not everybody's PATH has the sbin folders."""

TOOLS = {"unshare": "util-linux", "mount": "mount", "ip": "iproute2", "nft": "nftables"}
"""Commands and the packages they are in."""

# In namespaces of its own, so that whatever it makes vanishes with it. $1 is a scratch folder on
# the state folder's filesystem, because not every filesystem can carry an overlay.
TRY = """
ip link add dolium0 type bridge || echo lacks bridge
ip link add dolium1 type veth peer name dolium2 || echo lacks veth
nft add table inet dolium || echo lacks nf_tables
cd "$1" && mkdir lower upper work merged
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged || echo lacks overlay
"""

HINTS = {"overlay": " (or {folder} is on a filesystem that can't carry it)"}


def root(command: str) -> None:
    """Raises NotRoot with the line that helps."""
    if os.geteuid() != 0:
        raise errors.NotRoot(command=command)


def binary(name: str) -> str:
    """The path of a daemon; raises DockerMissing."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise errors.DockerMissing(binary=name)
    return found


def space(folder: Path, minimum: int) -> None:
    """Raises DiskFull if fewer than `minimum` bytes are free where images will be."""
    free = shutil.disk_usage(folder).free
    if free < minimum:
        megabytes = {"free": free // 2**20, "minimum": minimum // 2**20}
        raise errors.DiskFull(folder=folder, **megabytes)


def kernel(folder: Path, within: Sequence[str] = (), path: str = PATH) -> None:
    """Try bridge, veth, nf_tables and overlay (0.05 s); raises KernelLacks, ToolMissing.

    Args:
        folder: on the filesystem that images will be on.
        within: prefix of the commands, for namespaces of a test.
        path: where the tools are looked for.
    """
    for tool, package in TOOLS.items():
        if shutil.which(tool, path=path) is None:
            raise errors.ToolMissing(tool=tool, package=package)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as scratch:
        unshare = ["unshare", "--mount", "--net", "--propagation", "private"]
        tried = subprocess.run(
            [*within, *unshare, "sh", "-c", TRY, "sh", scratch],
            capture_output=True,
            text=True,
            env={"PATH": path, "LC_ALL": "C"},
            timeout=60,
            check=False,
        )
    lacks = [line.removeprefix("lacks ") for line in tried.stdout.splitlines()]
    if tried.returncode != 0 and not lacks:
        said = tried.stderr.strip().splitlines() or ["unshare failed"]
        raise errors.KernelLacks(what="a namespace of its own", hint=f" ({said[-1]})")
    if lacks:
        hint = "".join(HINTS.get(what, "").format(folder=folder) for what in lacks)
        raise errors.KernelLacks(what=" and ".join(lacks), hint=hint)
