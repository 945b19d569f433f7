"""Hosts: machines with an agent, what they offer and what is taken of it."""

from __future__ import annotations

from msgspec import Struct, field


class Inventory(Struct, frozen=True, kw_only=True):
    """What an agent finds on its machine; sent when it enrols and when it changes."""

    hostname: str
    cpus: int
    memory_mib: int
    disk_gib: int
    architecture: str = ""
    os_type: str = "linux"
    os: str = ""
    kernel_version: str = ""
    engine: str = ""
    """Engine and version, for people: `docker 20.10.24`."""
    runtimes: tuple[str, ...] = ()
    disk_quota: bool = False
    """True when the engine can limit a container's own disk."""
    labels: dict[str, str] = field(default_factory=dict)
    zone: str = "nova"


class Hello(Struct, frozen=True, kw_only=True):
    """An agent's first words after each of its starts."""

    host: str
    boot: str
    """Random id of this run of the agent; an older boot's words count for nothing."""
    inventory: Inventory
    lease_s: int = 0
    """After so many seconds without an answer the agent stops what may run elsewhere by then;
    0: it does not promise that."""


class Welcome(Struct, frozen=True, kw_only=True):
    """The answer to Hello."""

    deployment: str
    """Id of this installation; everything made in an engine bears it as a label."""
    epoch: int
    """Grows with each Hello of the host."""
