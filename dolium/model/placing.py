"""What placing decides on: what a container asks of a host, and what a host has left."""

from __future__ import annotations

from msgspec import Struct, field


class Amounts(Struct, frozen=True):
    """Quantities that add up. Integers, so that sums stay exact."""

    cpu_m: int = 0
    """CPUs in thousandths."""
    memory_mib: int = 0
    disk_gib: int = 0


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """What one container asks: how much, and of which hosts. Group and affinity come here."""

    uuid: str
    project_id: str
    cpu_m: int
    memory_mib: int
    disk_gib: int = 0
    zone: str | None = None
    runtime: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    """Labels the host must bear, each with this value."""
    host: str | None = None
    """The only host that will do, where somebody named one."""


class Host(Struct, frozen=True, kw_only=True):
    """One host as placing sees it. Amounts are what may be promised: after overcommit."""

    name: str
    total: Amounts
    free: Amounts
    """Below zero where a ratio was lowered after the promises."""
    zone: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    disabled: bool = False
    """An operator wants nothing new on it."""
    up: bool = True
    """Its agent answers."""
