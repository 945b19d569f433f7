"""A container: the wish, what is seen, and the tables of its states.

Statuses, task states and which action is allowed in which status are the container API's own
(Zun 1.40); their strings never change.
"""

from __future__ import annotations

import re
from base64 import b64decode
from enum import StrEnum
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from dolium import errors
from dolium.model.image import Pin


class Status(StrEnum):
    """What a user reads in `status`."""

    ERROR = "Error"
    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    UNKNOWN = "Unknown"
    CREATING = "Creating"
    CREATED = "Created"
    DELETED = "Deleted"
    DELETING = "Deleting"
    REBUILDING = "Rebuilding"
    DEAD = "Dead"
    RESTARTING = "Restarting"


class Task(StrEnum):
    """What a user reads in `task_state` while something is going on."""

    PULLING = "image_pulling"
    CREATING = "container_creating"
    STARTING = "container_starting"
    DELETING = "container_deleting"
    STOPPING = "container_stopping"
    REBOOTING = "container_rebooting"
    PAUSING = "container_pausing"
    UNPAUSING = "container_unpausing"
    KILLING = "container_killing"
    REBUILDING = "container_rebuilding"
    NETWORK_ATTACHING = "network_attaching"
    NETWORK_DETACHING = "network_detaching"


class Wanted(StrEnum):
    """The wish a host works towards."""

    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    DELETED = "deleted"


class State(StrEnum):
    """What an engine shows of a container."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"
    ABSENT = "absent"


class Health(StrEnum):
    """What an engine's checks say of a running container."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Verb(StrEnum):
    """What can be asked of a container; also the `action` of its journal."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    KILL = "kill"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    UPDATE = "update"
    REBUILD = "rebuild"
    NETWORK_ATTACH = "network_attach"
    NETWORK_DETACH = "network_detach"
    COMMIT = "commit"
    DELETE = "delete"


class Ask(Struct, frozen=True):
    """One row of the state table: what asking a verb means."""

    allowed: frozenset[Status]
    during: Status | None = None
    """Status shown while the action is open; None keeps the present one."""
    task: Task | None = None
    wanted: Wanted | None = None
    """The new wish; None keeps it."""
    starts: bool = False
    """True when it opens a new start epoch: the host starts the process once for it."""


def _any(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


_S = Status
_RESTING = _any(_S.CREATED, _S.STOPPED, _S.ERROR)
_STEADY = _any(_S.CREATED, _S.RUNNING, _S.STOPPED, _S.PAUSED)
_THERE = _any(*_S) - _any(_S.DELETING, _S.DELETED)
_REDOABLE = _any(_S.CREATED, _S.RUNNING, _S.STOPPED, _S.ERROR)

ASKS: dict[Verb, Ask] = {
    Verb.CREATE: Ask(_any(), _S.CREATING, None, Wanted.CREATED),
    Verb.START: Ask(_RESTING, None, Task.STARTING, Wanted.RUNNING, True),
    Verb.STOP: Ask(_any(_S.RUNNING), None, Task.STOPPING, Wanted.STOPPED),
    Verb.REBOOT: Ask(_REDOABLE, _S.RESTARTING, Task.REBOOTING, Wanted.RUNNING, True),
    Verb.KILL: Ask(_any(_S.RUNNING), None, Task.KILLING),
    Verb.PAUSE: Ask(_any(_S.RUNNING), None, Task.PAUSING, Wanted.PAUSED),
    Verb.UNPAUSE: Ask(_any(_S.PAUSED), None, Task.UNPAUSING, Wanted.RUNNING),
    Verb.UPDATE: Ask(_STEADY),
    Verb.REBUILD: Ask(_REDOABLE, _S.REBUILDING, Task.REBUILDING),
    Verb.NETWORK_ATTACH: Ask(_THERE, None, Task.NETWORK_ATTACHING),
    Verb.NETWORK_DETACH: Ask(_THERE, None, Task.NETWORK_DETACHING),
    Verb.COMMIT: Ask(_any(_S.RUNNING, _S.STOPPED, _S.PAUSED)),
    Verb.DELETE: Ask(
        _any(_S.CREATED, _S.ERROR, _S.STOPPED, _S.DELETED, _S.DEAD),
        _S.DELETING,
        Task.DELETING,
        Wanted.DELETED,
    ),
}
"""One row per verb."""

DELETE_FORCE = _any(*_S) - _any(_S.PAUSED)
DELETE_AFTER_STOP = ASKS[Verb.DELETE].allowed | _any(
    _S.RUNNING, _S.CREATING, _S.RESTARTING, _S.REBUILDING, _S.UNKNOWN
)
"""Wider than Zun's, where what hangs in the last four can be deleted by administrators only:
here a deletion supersedes whatever is going on, so its owner may give it up."""

QUESTIONS: dict[str, frozenset[Status]] = {
    "execute": _any(_S.RUNNING),
    "execute_resize": _any(_S.RUNNING),
    "attach": _any(_S.RUNNING),
    "resize": _any(_S.RUNNING),
    "top": _any(_S.RUNNING),
    "stats": _any(_S.RUNNING),
    "logs": _any(_S.CREATED, _S.ERROR, _S.PAUSED, _S.RUNNING, _S.STOPPED, _S.UNKNOWN),
    "follow": _THERE - _any(_S.DEAD),
    "get_archive": _any(_S.CREATED, _S.PAUSED, _S.RUNNING, _S.STOPPED),
    "put_archive": _any(_S.CREATED, _S.PAUSED, _S.RUNNING, _S.STOPPED),
}
"""What can be asked without changing the wish, and in which statuses."""


WRITES_ON = _any(
    *(_S.CREATING, _S.RUNNING, _S.PAUSED, _S.RESTARTING, _S.REBUILDING, _S.UNKNOWN),
)
"""Statuses in which a log may go on although the engine has nothing more to tell of it."""


def check(verb: str, allowed: frozenset[Status], uuid: str, status: str) -> None:
    """Raise WrongState unless the status allows the verb."""
    if status not in allowed:
        raise errors.WrongState(verb=verb, id=uuid, state=str(status))


class Event(StrEnum):
    """What happened to a container, as far as its status is concerned."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"
    ABSENT = "absent"
    RESTARTING = "restarting"
    """The agent starts it again unasked, or waits to."""
    FAILED = "failed"
    """A create, start, reboot or rebuild failed definitely."""
    LOST = "lost"
    """Its host is silent."""


_E = Event
_SETTLED: dict[Event, Status] = {
    _E.CREATED: _S.CREATED,
    _E.RUNNING: _S.RUNNING,
    _E.PAUSED: _S.PAUSED,
    _E.EXITED: _S.STOPPED,
    _E.DEAD: _S.DEAD,
    _E.ABSENT: _S.ERROR,
    _E.RESTARTING: _S.RESTARTING,
    _E.FAILED: _S.ERROR,
    _E.LOST: _S.UNKNOWN,
}
# An error stays until the container really runs again; a deletion is never taken back.
_KEEPS: dict[Status, frozenset[Event]] = {
    _S.ERROR: frozenset({_E.CREATED, _E.EXITED, _E.ABSENT, _E.LOST}),
    _S.DELETING: frozenset(Event),
    _S.DELETED: frozenset(Event),
}

MOVES: dict[tuple[Status, Event], Status] = {
    (status, event): status if event in _KEEPS.get(status, frozenset()) else _SETTLED[event]
    for status in Status
    for event in Event
}
"""(status, event) -> the next status, while no action is open that shows its own."""


class RestartPolicy(Struct, frozen=True, rename={"name": "Name", "retries": "MaximumRetryCount"}):
    """When the agent starts an exited container again; the engine itself is told `no`."""

    name: str = "no"
    """no, always, on-failure or unless-stopped."""
    retries: str = "0"
    """How often, for on-failure; 0 is for ever. A string, as the API has it."""


class Spec(Struct, frozen=True, kw_only=True):
    """What somebody asked for: the whole wish apart from running or not.

    Names and forms are the API's (`memory` is a string of MiB, `cpu` a float), so that one
    encoding serves the database, the host and the reader.
    """

    image: str
    cpu: float = 1.0
    cpu_policy: str = "shared"
    memory: str = "512"
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    environment: dict[str, str] | None = None
    workdir: str | None = None
    hostname: str | None = None
    labels: dict[str, str] | None = None
    auto_remove: bool = False
    auto_heal: bool = False
    restart_policy: RestartPolicy | None = None
    interactive: bool = False
    tty: bool = False
    image_driver: str = "docker"
    pin: Pin | None = None
    """With image_driver glance: which image that is."""
    image_pull_policy: str | None = None
    runtime: str | None = None
    privileged: bool = False
    disk: int = 0
    healthcheck: dict[str, Any] | None = None
    registry_id: str | None = None
    security_groups: list[str] | None = None
    exposed_ports: dict[str, Any] | None = None
    mounts: list[dict[str, Any]] = field(default_factory=list)
    nets: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[str, Any] | None = None
    """A capsule's, kept for who reads it."""
    hints: dict[str, Any] = field(default_factory=dict)
    availability_zone: str | None = None
    requested_host: str | None = None

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Files that are given with it, by their places in it."""
        binds = (mount for mount in self.mounts if mount.get("type") == "bind")
        return [(mount["destination"], b64decode(mount["source"])) for mount in binds]

    @property
    def cpu_m(self) -> int:
        """CPUs in thousandths."""
        return round(self.cpu * 1000)

    @property
    def memory_mib(self) -> int:
        """Memory in MiB."""
        return int(self.memory)


class Shown(Struct, frozen=True, kw_only=True):
    """The part of a Spec that every reader of the container sees, in the API's order."""

    image: str
    cpu: float
    cpu_policy: str
    memory: str
    auto_remove: bool
    labels: dict[str, str] | None
    restart_policy: RestartPolicy | None
    interactive: bool
    tty: bool
    image_driver: str
    security_groups: list[str] | None
    disk: int
    auto_heal: bool
    healthcheck: dict[str, Any] | None
    registry_id: str | None


class Guarded(Struct, frozen=True, kw_only=True):
    """The part of a Spec that only administrators see (with the row's `host`)."""

    image_pull_policy: str | None
    privileged: bool
    runtime: str | None


class Look(Struct, frozen=True, kw_only=True):
    """The fields of the API that the engine knows better than the wish, once it has them."""

    command: list[str] | None = None
    environment: dict[str, str] | None = None
    workdir: str | None = None
    ports: list[int] | None = None
    hostname: str | None = None
    entrypoint: list[str] | None = None


def shown(spec: Spec) -> Shown:
    """What every reader sees of the spec."""
    return Shown(**{name: getattr(spec, name) for name in Shown.__struct_fields__})


def guarded(spec: Spec) -> Guarded:
    """What administrators see in addition."""
    return Guarded(**{name: getattr(spec, name) for name in Guarded.__struct_fields__})


class Seen(Struct, frozen=True, kw_only=True):
    """What an engine shows of one container of ours. Times are seconds since the epoch."""

    uuid: str
    generation: int
    """The `dolium-<uuid>-<generation>` it was created as."""
    handle: str
    """The engine's own id."""
    state: State
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    error: str | None = None
    """The engine's own words about the last start or exit."""
    cpus: tuple[int, ...] = ()
    """The CPUs it may use; empty: all, or a listing that does not tell."""
    health: Health | None = None
    """None: it does not run, or nothing checks it."""
    look: Look | UnsetType = UNSET
    """UNSET in listings that do not tell."""


_NAMED = re.compile(r"dolium-([0-9a-f-]{36})-(\d+)")


def engine_name(uuid: str, generation: int) -> str:
    """The name of a container in an engine: known before it is created, so a retry adopts."""
    return f"dolium-{uuid}-{generation}"


def named(name: str) -> tuple[str, int] | None:
    """The uuid and the generation of which it is the name in an engine, or None."""
    found = _NAMED.fullmatch(name)
    return (found[1], int(found[2])) if found else None
