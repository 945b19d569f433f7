"""A whole installation to measure, in namespaces of its own, and nothing left of it afterwards.

`enter` runs the bench again inside new network, mount and process namespaces, where the usual
ports and folders are free and everything that is started ends with the bench. `Lab` starts the
parts when a figure first asks for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from types import TracebackType

from tests import engines
from tests.perf.installation import Installation
from tests.perf.plain import BridgeEngine, Docker

_FOLDER = "DOLIUM_BENCH_FOLDER"

_NAMESPACE = """
set -e
ip link set lo up
# A sysfs of this network namespace, with the cgroups that docker looks for below it.
cgroups=$(mktemp -d)
mount --rbind /sys/fs/cgroup $cgroups
umount -l /sys
mount -t sysfs sysfs /sys
mount --rbind $cgroups /sys/fs/cgroup
umount -l $cgroups
rmdir $cgroups
mount -t tmpfs none /run
mkdir -p /run/docker /run/netns /etc/docker
mount -t tmpfs none /etc/docker
# Some kernels give a new network namespace no forwarding, whatever the machine has.
echo 1 > /proc/sys/net/ipv4/ip_forward
# This shell is process 1 here: it must stay, to bury what daemons leave.
"$@" &
wait $!
"""


def inside() -> bool:
    """Whether this process is in the bench's namespaces already."""
    return _FOLDER in os.environ


def missing() -> str | None:
    """Why a whole installation can't be measured here, or None."""
    return engines.missing("dockerd", "containerd", "runc", "nsenter", "mount")


def enter(arguments: list[str]) -> int:
    """Run `python -m tests.perf` with the arguments inside; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="dolium-bench-", ignore_cleanup_errors=True) as folder:
        namespaces = ["unshare", "--net", "--mount", "--propagation", "private"]
        namespaces += ["--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*namespaces, "sh", "-c", _NAMESPACE, "bench"]
        command += [sys.executable, "-m", "tests.perf", *arguments]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.run(command, env=environment | {_FOLDER: folder}, check=False).returncode


class Lab:
    """What figures measure, started when first asked for."""

    def __init__(self) -> None:
        self.folder = Path(os.environ.get(_FOLDER, ""))

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in ("installation", "_bridge"):
            if name in self.__dict__:
                self.__dict__[name].stop()

    @cached_property
    def installation(self) -> Installation:
        """A Dolium that has been started before, so that nothing is made for the first time."""
        made = Installation(self.folder / "state")
        try:
            made.prepare()
        except BaseException:
            made.stop()
            raise
        return made

    def rest(self) -> None:
        """Free the usual ports, if the installation has them."""
        if "installation" in self.__dict__:
            self.installation.stop()

    def wake(self) -> None:
        """After `rest`."""
        if "installation" in self.__dict__:
            self.installation.start()
            self.installation.ready()

    @cached_property
    def bridge(self) -> Docker:
        """A Docker Engine beside, with its built-in bridge."""
        return Docker(self._bridge.socket)

    @cached_property
    def _bridge(self) -> BridgeEngine:
        made = BridgeEngine(self.folder / "bridge")
        made.start()
        return made
