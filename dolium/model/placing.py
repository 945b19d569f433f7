"""What placing decides on: what a container asks of a host, and what a host has left."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID, uuid5

from msgspec import Struct, field


class Level(IntEnum):
    """Failure domains, the highest first: what fails together."""

    REGION = 0
    ZONE = 1
    RACK = 2
    HOST = 3
    """The physical machine, which may carry several nodes as servers."""
    NODE = 4
    """The machine with the agent."""

    __hash__ = int.__hash__  # an enum's own is written in Python, and placing looks up a lot

    def __str__(self) -> str:
        return self.name.lower()

    @property
    def at(self) -> str:
        """The word before it in a sentence."""
        return "in" if self <= Level.RACK else "on"

    def __format__(self, _: str) -> str:
        return str(self)


LEVELS = {str(level): level for level in Level}
"""By the words that people type."""


class Amounts(Struct, frozen=True):
    """Quantities that add up. Integers, so that sums stay exact."""

    cpu_m: int = 0
    """CPUs in thousandths, those of dedicated CPUs among them."""
    memory_mib: int = 0
    disk_gib: int = 0
    cpus: int = 0
    """CPUs that one container each has for itself."""


def whole(cpu_m: int) -> int:
    """Thousandths of a CPU rounded up to a CPU: Placement counts no smaller ones."""
    return -(-cpu_m // 1000) * 1000


def consumer(container_uuid: str, ended: int) -> str:
    """What Placement knows a container's claim by, after so many others of it have ended: no
    consumer is taken twice, so that what is late about one can't harm the next.
    """
    return str(uuid5(UUID(container_uuid), str(ended))) if ended else container_uuid


class Group(Struct, frozen=True, kw_only=True, gc=False):
    """The group of a container, and where it wants to be as seen from the others of it.

    Without a word it goes where the fewest of them are, the highest level counting first.
    """

    id: int
    name: str
    affinity: Level | None = None
    """In a domain of this level where one of them is."""
    anti_affinity: Level | None = None
    """In a domain of this level where none of them is."""
    soft_affinity: Level | None = None
    """Like affinity, while a host allows it."""
    soft_anti_affinity: Level | None = None
    """Like anti_affinity, while a host allows it."""


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """What one container asks: how much, and of which hosts."""

    uuid: str
    project_id: str
    cpu_m: int
    """Share of the CPUs that it has in common with others; 0 where it has its own."""
    memory_mib: int
    disk_gib: int = 0
    cpus: int = 0
    """CPUs it wants for itself."""
    zone: str | None = None
    runtime: str | None = None
    capsule: bool = False
    """Whether it needs a host that takes capsules."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels the host must bear, each with this value."""
    host: str | None = None
    """The only host that will do, where somebody named one."""
    among: frozenset[str] | None = None
    """The only hosts that will do, because of other containers there."""
    avoid: frozenset[str] = frozenset()
    """Hosts that will not do, because of other containers there."""
    group: Group | None = None


class Host(Struct, frozen=True, kw_only=True):
    """One host as placing sees it. Amounts are what may be promised: after overcommit."""

    name: str
    total: Amounts
    free: Amounts
    """Below zero where a ratio was lowered after the promises."""
    region: str = ""
    zone: str = ""
    rack: str = ""
    machine: str = ""
    """The physical machine under it; empty: it is one itself."""
    labels: dict[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    capsules: bool = False
    """It takes capsules."""
    disabled: bool = False
    """An operator wants nothing new on it."""
    up: bool = True
    """Its agent answers."""

    @property
    def path(self) -> tuple[str, ...]:
        """The domain it is in at each level, each named by all above it."""
        return domains(self.region, self.zone, self.rack, self.machine, self.name)

    @property
    def per_cpu(self) -> int:
        """What of `total.cpu_m` one dedicated CPU takes: it can't be promised more than once."""
        return self.total.cpu_m // self.total.cpus if self.total.cpus else 0


def domains(region: str, zone: str, rack: str, machine: str, name: str) -> tuple[str, ...]:
    """The path of a host: `east`, `east/nova`, `east/nova/r1`, ... down to the host itself."""
    path = [region]
    for part in (zone, rack, machine or name, name):
        path.append(f"{path[-1]}/{part}")
    return tuple(path)
