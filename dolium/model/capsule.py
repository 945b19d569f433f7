"""A capsule: containers that share a host, a network and IPC, placed as one (a pod).

What they share is held by a container of its own, the sandbox, which no user sees: its row is the
capsule's (uuid, name, host, addresses, amounts), so that nothing of it is said twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from dolium.model.container import Spec, Status
from dolium.model.record import Container


class Part(StrEnum):
    """What a container is in its capsule."""

    SANDBOX = "sandbox"
    INIT = "init"
    """Runs to its end, one after another, before the others start."""
    CONTAINER = "container"


SHARING = frozenset({"", "runc", "crun"})
"""OCI runtimes whose containers can share a sandbox ("" is the engine's own choice). Those with a
kernel around each container (gVisor, Kata) have networks of their own in it.
"""


class Belongs(Struct, frozen=True, kw_only=True):
    """What a host has to know about a container's capsule."""

    capsule: str
    """The capsule's id, and its sandbox's."""
    part: Part
    after: tuple[str, ...] = ()
    """Init containers that must have ended well before it starts for the first time."""
    parts: tuple[str, ...] = ()
    """For the sandbox: all others of the capsule."""


class State(StrEnum):
    """What a user reads in a capsule's `status`."""

    CREATING = "Creating"
    RUNNING = "Running"
    STOPPED = "Stopped"
    """Its sandbox went down, and comes back."""
    SUCCEEDED = "Succeeded"
    """All its containers have ended well and are not started again."""
    FAILED = "Failed"
    """All have ended, not all of them well."""
    ERROR = "Error"
    UNKNOWN = "Unknown"
    """Its host is silent."""
    DELETING = "Deleting"


_ANY: tuple[tuple[Status, State], ...] = (
    (Status.DELETING, State.DELETING),
    (Status.ERROR, State.ERROR),
    (Status.UNKNOWN, State.UNKNOWN),
    (Status.CREATING, State.CREATING),
)
"""One part in such a status decides for all; the first row that applies counts."""

_OVER = frozenset({Status.STOPPED, Status.DEAD, Status.DELETED})
_DOWN = _OVER | {Status.RESTARTING, Status.CREATED}


def state(parts: Iterable[Container]) -> State:
    """A capsule's status, from the rows of its sandbox and all others."""
    rows = [*parts]
    found = {row.status for row in rows}
    for status, whole in _ANY:
        if status in found:
            return whole
    if any(row.part == Part.SANDBOX and row.status in _DOWN for row in rows):
        return State.STOPPED
    ends = [row.exit_code for row in rows if row.part == Part.CONTAINER and row.status in _OVER]
    if len(ends) < sum(row.part == Part.CONTAINER for row in rows):
        return State.RUNNING
    return State.SUCCEEDED if all(code == 0 for code in ends) else State.FAILED


def reason(parts: Iterable[Container]) -> str | None:
    """A capsule's `status_reason`: its parts' own, those of parts in Error first."""
    rows = sorted(parts, key=lambda row: row.status != Status.ERROR)
    own = ((row, row.status_reason) for row in rows)
    told = [why if row.part == Part.SANDBOX else f"{row.name}: {why}" for row, why in own if why]
    return told[0] if told else None


class Amounts(Struct, frozen=True):
    """CPUs in thousandths and MiB."""

    cpu_m: int
    memory_mib: int


def amounts(inits: Sequence[Spec], others: Sequence[Spec]) -> Amounts:
    """What a capsule takes: the others run together, each init container alone before them."""
    return Amounts(
        max(sum(spec.cpu_m for spec in others), *(spec.cpu_m for spec in inits), 0),
        max(sum(spec.memory_mib for spec in others), *(spec.memory_mib for spec in inits), 0),
    )
