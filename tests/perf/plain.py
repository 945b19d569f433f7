"""The peer of everything about starting: Docker's own API, used without Dolium."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests import engines
from tests.perf import wire

IMAGE = "busybox:latest"

_SAME = ("Memory", "NanoCpus", "CpuQuota", "CpuPeriod", "CpuShares", "PidsLimit", "LogConfig")
"""Limits a plain container gets as the Dolium container beside it has them."""


class Docker:
    """One connection to one engine."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self.client = wire.unix(socket)

    def start(self, body: dict[str, Any]) -> str:
        """Create and start a container; returns its id when Docker says it runs."""
        made = self.client.ask("POST", "/v1.41/containers/create", body)["Id"]
        self.client.ask("POST", f"/v1.41/containers/{made}/start")
        return str(made)

    def remove(self, ident: str) -> None:
        """Kill and remove it."""
        self.client.ask("DELETE", f"/v1.41/containers/{ident}?force=true")

    def inspect(self, ident: str) -> Any:
        """All about a container."""
        return self.client.ask("GET", f"/v1.41/containers/{ident}/json")

    def named(self, part: str, *, runs: bool = False) -> str | None:
        """The id of the container whose name contains the part; runs: if it does."""
        filters = quote(f'{{"name": ["{part}"]}}')
        every = str(not runs).lower()
        found = self.client.ask("GET", f"/v1.41/containers/json?all={every}&filters={filters}")
        return found[0]["Id"] if found else None

    def network(self, name: str) -> str:
        """Make a network like Dolium's: names, IPv4 and IPv6; returns its name."""
        subnets = [{"Subnet": "172.30.0.0/16"}, {"Subnet": "fd5e:a1e0::/64"}]
        body = {"Name": name, "Driver": "bridge", "EnableIPv6": True, "IPAM": {"Config": subnets}}
        self.client.ask("POST", "/v1.41/networks/create", body)
        return name

    def version(self) -> str:
        """The engine's version."""
        return str(self.client.ask("GET", "/version")["Version"])


def like(inspected: dict[str, Any], network: str) -> dict[str, Any]:
    """The create call for a container like the inspected one, on a network."""
    host, config = inspected["HostConfig"], inspected["Config"]
    return {
        "Image": config["Image"],
        "Cmd": config["Cmd"],
        "Env": config["Env"],
        "HostConfig": {name: host[name] for name in _SAME} | {"NetworkMode": network},
    }


class BridgeEngine:
    """A Docker Engine as its package starts it, with its own bridge, in a network of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "docker.sock")
        self._folder = folder
        self._mark = f"dolium-bench-{uuid.uuid4().hex[:8]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and load the image."""
        self._folder.mkdir()
        subprocess.run(["ip", "netns", "add", self._mark], check=True)
        command = [
            # `ip netns exec` would hide the cgroups.
            *("nsenter", f"--net=/run/netns/{self._mark}", "--"),
            *("dockerd", "--data-root", str(self._folder / "data")),
            *("--exec-root", str(self._folder / "exec"), "-p", str(self._folder / "pid")),
            *("-H", f"unix://{self.socket}", "--cgroup-parent", f"/{self._mark}"),
        ]
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wire.wait(self._answers, f"dockerd; see {self._folder}/log")
        engines.load_image(self.socket, IMAGE)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        engines._drop_cgroups(self._mark)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self._folder / "log").read_text()[-2000:])
        try:
            return wire.unix(self.socket).raw("GET", "/_ping")[0] == 200
        except OSError:
            return False


def timed(docker: Docker, body: dict[str, Any]) -> float:
    """Seconds from the create call until Docker says it runs; the container is removed after."""
    start = time.perf_counter()
    ident = docker.start(body)
    took = time.perf_counter() - start
    docker.remove(ident)
    return took
