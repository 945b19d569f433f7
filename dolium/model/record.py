"""Rows as the control side hands them out: what is read often as fields, the rest as the bytes
an answer is spliced from (measured: 0.84 ms for 200 containers against 7.5 ms by an ORM).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Container(Struct, frozen=True, gc=False):
    """One container. Times are seconds since the epoch."""

    id: int
    uuid: str
    name: str
    project_id: str
    user_id: str
    status: str
    """A model.container.Status, as the bare string it is stored as."""
    status_reason: str | None
    task_state: str | None
    host: str | None
    created_at: float
    updated_at: float | None
    started_at: float | None
    finished_at: float | None
    exit_code: int | None
    health: str | None
    """A model.container.Health, while it runs and has a check of it."""
    progress: str | None
    """How far the pull of its image is, while it is pulled."""
    generation: int
    shown: bytes
    """model.container.Shown as JSON: keys for every reader."""
    guarded: bytes
    """model.container.Guarded as JSON: keys for administrators, with `host`."""
    look: bytes
    """model.container.Look as JSON: keys the engine knows best."""
    addresses: bytes
    """The `addresses` value as JSON."""
    capsule_id: str | None
    part: str | None
    """A model.capsule.Part, of what belongs to a capsule."""


class Moment(Struct, frozen=True, kw_only=True):
    """One event of an action."""

    event: str
    start_time: float
    finish_time: float | None = None
    result: str | None = None
    """Success or Error."""
    traceback: str | None = None


class Action(Struct, frozen=True, kw_only=True):
    """One asked change in the journal. Times are seconds since the epoch."""

    id: int
    container_uuid: str
    request_id: str
    generation: int
    verb: str
    user_id: str
    project_id: str
    start_time: float
    finish_time: float | None = None
    message: str | None = None
    """None when it went well or is still going on, `Error` as the API has it otherwise."""
    events: tuple[Moment, ...] = ()


class Query(Struct, frozen=True, kw_only=True):
    """What a list of containers is narrowed by."""

    limit: int = 1000
    marker: str | None = None
    """Uuid of the last container of the page before."""
    sort_key: str = "id"
    sort_dir: str = "asc"
    all_projects: bool = False
    filters: dict[str, Any] = field(default_factory=dict)
    """Equality on: name image project_id user_id memory host task_state status auto_remove."""
