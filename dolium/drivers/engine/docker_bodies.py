"""What is asked of a Docker Engine: a wish turned into the bodies of its API. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium.drivers.engine.base import Labels, Plug
from dolium.model.container import Spec
from dolium.model.network import Network

MARK = "org.dolium."
"""Prefix of our labels; users' labels can't bear it."""
DEPLOYMENT, UUID, GENERATION = f"{MARK}deployment", f"{MARK}uuid", f"{MARK}generation"
NETWORK = f"{MARK}network"
READY = f"{MARK}ready"
"""Of a sandbox that was made before anybody wanted it: labels stay, its name says whose it is."""

LEAST_MEMORY = 16 << 20
"""Bytes below which no process starts; who asks for less gets this (decision 6)."""
PERIOD_US = 100_000
"""The kernel's own period of the CPU limit."""
LEAST_QUOTA_US = 1_000
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
"""A container that talks without end must not fill the host."""


def filters(**filters: list[str]) -> str:
    """What a listing is narrowed by."""
    return msgspec.json.encode(filters).decode()


def labels(mark: Labels) -> dict[str, str]:
    """Our labels of a container."""
    return {
        DEPLOYMENT: mark.deployment,
        UUID: mark.uuid,
        GENERATION: str(mark.generation),
    }


def network_name(network_uuid: str) -> str:
    """The engine's name of a network: known before it is made, so a retry finds it."""
    return f"dolium-{network_uuid}"


def resources(spec: Spec) -> dict[str, Any]:
    """Limits of CPU and memory, hard, plus the weight that applies when all want more."""
    memory = max(spec.memory_mib << 20, LEAST_MEMORY)
    return {
        "CpuPeriod": PERIOD_US,
        "CpuQuota": max(spec.cpu_m * PERIOD_US // 1000, LEAST_QUOTA_US),
        "CpuShares": max(spec.cpu_m * 1024 // 1000, 2),
        "Memory": memory,
        "MemorySwap": memory,  # equal: no swap. Engines without swap accounting ignore it
    }


def container(
    spec: Spec,
    plugs: tuple[Plug, ...],
    mark: Labels,
    *,
    pids_limit: int,
    runtime: str | None,
    disk_quota: bool,
) -> dict[str, Any]:
    """Body of /containers/create. Null is Docker's own "not given"."""
    theirs = {k: v for k, v in (spec.labels or {}).items() if not k.startswith(MARK)}
    return {
        "Image": spec.image,
        "Hostname": spec.hostname or "",
        "Cmd": spec.command,
        "Entrypoint": spec.entrypoint,
        "Env": [f"{name}={value}" for name, value in (spec.environment or {}).items()],
        "WorkingDir": spec.workdir or "",
        "Labels": theirs | labels(mark),
        "OpenStdin": spec.interactive,
        "Tty": spec.tty,
        "ExposedPorts": {_port(port): {} for port in spec.exposed_ports or {}},
        "Healthcheck": _healthcheck(spec.healthcheck),
        "HostConfig": _host(spec, plugs, pids_limit, runtime, disk_quota),
        "NetworkingConfig": {
            "EndpointsConfig": {
                network_name(plug.network.uuid): endpoint(plug) for plug in plugs[:1]
            }
        },
    }


def share(body: dict[str, Any]) -> None:
    """Make of a container's body that of a sandbox. Its program needs nothing, says nothing, and
    is nobody else's: what limits and filters would make of it costs a tenth of its start.
    """
    body["HostConfig"] |= {
        "IpcMode": "shareable",
        "LogConfig": {"Type": "none"},
        "CapDrop": ["ALL"],
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
    }
    for limit in ("CpuPeriod", "CpuQuota", "CpuShares", "Memory", "MemorySwap"):
        del body["HostConfig"][limit]


def ready(body: dict[str, Any], deployment: str) -> None:
    """Make of a sandbox's body that of one for whoever comes."""
    body["Labels"] = {DEPLOYMENT: deployment, READY: ""}


def join(body: dict[str, Any], sandbox: str) -> None:
    """Put a container into another one's network, with its names and addresses, and IPC. Docker
    has no ports of its own for such a one, and no hostname.
    """
    body |= {"Hostname": "", "ExposedPorts": {}, "NetworkingConfig": {}}
    shared = f"container:{sandbox}"
    body["HostConfig"] |= {"NetworkMode": shared, "IpcMode": shared}


def _host(
    spec: Spec,
    plugs: tuple[Plug, ...],
    pids_limit: int,
    runtime: str | None,
    disk_quota: bool,
) -> dict[str, Any]:
    host: dict[str, Any] = resources(spec) | {
        "NetworkMode": network_name(plugs[0].network.uuid) if plugs else "none",
        "IpcMode": "private",
        "PidsLimit": pids_limit,
        "Privileged": spec.privileged,
        "RestartPolicy": {"Name": "no"},  # ours to follow (decision 13)
        "LogConfig": {"Type": "json-file", "Config": LOG_OPTIONS},
    }
    if not spec.privileged:
        host["SecurityOpt"] = ["no-new-privileges"]
    if runtime:
        host["Runtime"] = runtime
    if spec.disk and disk_quota:
        host["StorageOpt"] = {"size": f"{spec.disk}G"}
    return host


def endpoint(plug: Plug) -> dict[str, Any]:
    """One endpoint's settings. No MAC: our plugin hands it out, as it does the link."""
    addresses = {
        f"IPv{ip.version}Address": ip.address
        for ip in reversed(plug.port.fixed_ips)  # the first of a version wins
    }
    return {
        "IPAMConfig": addresses,
        "Aliases": list(plug.aliases),
        "DriverOpts": {"dolium.token": plug.token, "dolium.port": plug.port.uuid},
    }


def network(wanted: Network, plugin: str, deployment: str) -> dict[str, Any]:
    """Body of /networks/create."""
    options = {"dolium.network": wanted.uuid}
    return {
        "Name": network_name(wanted.uuid),
        "CheckDuplicate": True,
        "Driver": plugin,
        "EnableIPv6": any(subnet.version == 6 for subnet in wanted.subnets),
        "Options": options,
        "IPAM": {
            "Driver": plugin,
            "Options": options,
            "Config": [
                {"Subnet": subnet.cidr, "Gateway": subnet.gateway} for subnet in wanted.subnets
            ],
        },
        "Labels": {DEPLOYMENT: deployment, NETWORK: wanted.uuid},
    }


def _port(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any] | None:
    """The API's {test, interval, retries, timeout} in seconds; a string test is a shell line."""
    if not check or not check.get("test"):
        return None
    test = check["test"]
    body: dict[str, Any] = {"Test": ["CMD-SHELL", test] if isinstance(test, str) else test}
    for key in ("interval", "timeout"):
        if check.get(key):
            body[key.capitalize()] = int(float(check[key]) * 1e9)
    if check.get("retries"):
        body["Retries"] = int(check["retries"])
    return body
