"""The configuration of our own Docker Engine: daemon.json and containerd.toml.

gVisor (measured with Debian 12's runsc 20221219 on a 6.18 kernel with cgroup v1): with its own
network stack it refuses to start ("cannot run with network enabled in root network namespace": it
looks for a file that newer kernels show in every namespace) and leaves a sandbox behind; its kvm
platform hangs. With `--network=host` it runs, with `--net none` and in a namespace that Docker or
its plugin has prepared: "host" is then that namespace, so networks and addresses are the
container's own. TCP works, `ping` does not (no raw sockets), UDP was not tried; memory and CPU
limits, exec, stop and statistics work, so `--ignore-cgroups` is not needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RUNSC_ARGUMENTS = ["--network=host"]


@dataclass(frozen=True)
class Places:
    """Where our engine lives: `state` survives a reboot, `run` need not."""

    state: Path
    run: Path

    @property
    def socket(self) -> Path:
        """Where the Docker API answers."""
        return self.run / "docker.sock"

    @property
    def starting(self) -> Path:
        """Where it answers until the engine is in order and its socket gets its name."""
        return self.run / "dockerd.sock"

    @property
    def containerd(self) -> Path:
        """Where its containerd answers."""
        return self.run / "containerd.sock"

    @property
    def pidfile(self) -> Path:
        """What dockerd itself writes; we know it by a pidfile of our own."""
        return self.run / "docker.pid"

    @property
    def used(self) -> Path:
        """Exists from the first time this engine has answered."""
        return self.state / "used"


def daemon(
    places: Places,
    name: str,
    *,
    mirrors: Sequence[str] = (),
    insecure: Sequence[str] = (),
    runsc: str | None = None,
) -> str:
    """The text of daemon.json; /etc/docker/daemon.json is somebody else's and not read."""
    systemd = Path("/run/systemd/system").is_dir()
    values = {
        "data-root": str(places.state / "data"),
        "exec-root": str(places.run / "exec"),
        "pidfile": str(places.pidfile),
        "hosts": [f"unix://{places.starting}"],
        "group": "root",  # otherwise the docker group could open the socket
        "containerd": str(places.containerd),
        "bridge": "none",  # every network is Dolium's plugin's
        "iptables": False,
        "ip6tables": False,
        "userland-proxy": False,
        "live-restore": True,
        "exec-opts": [f"native.cgroupdriver={'systemd' if systemd else 'cgroupfs'}"],
        "cgroup-parent": f"{name}.slice" if systemd else f"/{name}",
        "log-opts": {"max-size": "64m", "max-file": "2"},  # one chatty container fills no disk
        "registry-mirrors": list(mirrors),
        "insecure-registries": list(insecure),
        "runtimes": {"runsc": {"path": runsc, "runtimeArgs": RUNSC_ARGUMENTS}} if runsc else {},
    }
    return json.dumps(values, indent=2) + "\n"


def containerd(places: Places) -> str:
    """The text of containerd.toml: no CRI (it would want CNI), nothing shared with another one."""
    return f"""\
version = 2
root = "{places.state}/containerd"
state = "{places.run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{places.containerd}"
[ttrpc]
  address = "{places.containerd}.ttrpc"
"""


def tidy(name: str) -> None:
    """Remove the control groups of a stopped engine, as far as no container runs in them."""
    for parent in [*Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup") / name]:
        folders = [Path(folder) for folder, _, _ in os.walk(parent)]
        for folder in sorted(folders, reverse=True):
            try:
                folder.rmdir()
            except OSError:
                break  # somebody is in there
