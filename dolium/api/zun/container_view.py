"""A container as clients read it, spliced from bytes that lie ready in its row.

Nothing is decoded on the way: what only administrators see is appended or left out (decision 4).
Operators may hide more fields by policy; only then an answer is taken apart.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from dolium.model import record
from dolium.model.container import Guarded, Health, Status, Task

GUARDED = frozenset(["host", *Guarded.__struct_fields__])
"""Fields in the variant for administrators only."""

_UUID_END = len('{"uuid":"","') + 36 - 1
"""Where the second key of an answer begins."""

_encode = msgspec.json.encode


_UP = {str(Status.RUNNING): "", str(Status.PAUSED): " (paused)"}
_HEALTH: dict[str | None, str] = {
    Health.STARTING.value: " (health: starting)",
    Health.HEALTHY.value: " (healthy)",
    Health.UNHEALTHY.value: " (unhealthy)",
}
"""In the words of `docker ps`."""
_DOWN = {str(Status.STOPPED): "", str(Status.ERROR): " (error)"}
_PLAIN = frozenset(map(str, (Status.CREATED, Status.RESTARTING, Status.DEAD)))


class _Head(Struct):
    uuid: str
    name: str
    project_id: str
    user_id: str
    status: str
    status_reason: str | None
    task_state: str | None


# Pages are read again and again: what costs a microsecond per container is remembered.
@functools.lru_cache(maxsize=4096)
def spaced(seconds: float) -> str:
    """`2026-11-20 23:31:59.257824`: no T, no zone, or gophercloud can't read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "microseconds")[:26]


@functools.lru_cache(maxsize=4096)
def ago(seconds: int) -> str:
    """`5 mins`, in the coarsest unit that fits."""
    if seconds >= 86400:
        return f"{seconds // 86400} days"
    if seconds >= 3600:
        return f"{seconds // 3600} hours"
    return f"{seconds // 60} mins" if seconds >= 60 else f"{max(0, seconds)} seconds"


def detail(row: record.Container, now: float) -> str | None:
    """`Up 5 mins`, `Exited(137) 3 seconds ago`: as old as the answer, not as the row."""
    status = row.status
    if row.progress is not None and row.task_state == Task.PULLING:
        return row.progress
    if status in _UP:
        since = row.started_at
        if since is None:
            return None
        health = _HEALTH.get(row.health, "") if status == Status.RUNNING else ""
        return f"Up {ago(int(now - since))}{_UP[status]}{health}"
    if status in _DOWN:
        since = row.finished_at
        if since is None or row.exit_code is None:
            return None
        return f"Exited({row.exit_code}) {ago(int(now - since))} ago{_DOWN[status]}"
    return status if status in _PLAIN else None


def one(row: record.Container, hidden: frozenset[str], now: float, prefix: str) -> bytes:
    """A container with its links."""
    plain = bare(row, hidden, now)
    path = f"containers/{row.uuid}"
    links = _encode(
        [
            {"href": f"{prefix}/v1/{path}", "rel": "self"},
            {"href": f"{prefix}/{path}", "rel": "bookmark"},
        ]
    )
    if "links" in hidden:
        return plain
    return b"".join((plain[:_UUID_END], b'"links":', links, b",", plain[_UUID_END:]))


def page(
    rows: Iterable[record.Container], hidden: frozenset[str], now: float, next_page: str | None
) -> bytes:
    """A list of containers, without links."""
    items = b",".join([bare(row, hidden, now) for row in rows])
    return b"".join((b'{"containers":[', items, b'],"next":', _encode(next_page), b"}"))


def bare(row: record.Container, hidden: frozenset[str], now: float) -> bytes:
    """A container without links."""
    head = _encode(
        _Head(
            row.uuid,
            row.name,
            row.project_id,
            row.user_id,
            row.status,
            row.status_reason,
            row.task_state,
        )
    )
    parts = [head[:-1], row.shown[1:-1], row.look[1:-1], b'"addresses":' + row.addresses]
    if hidden == GUARDED:
        parts.append(_tail(row, now))
        return b",".join(parts)
    parts += [b'"host":' + _encode(row.host), row.guarded[1:-1], _tail(row, now)]
    full = b",".join(parts)
    return _without(full, hidden) if hidden else full


def _tail(row: record.Container, now: float) -> bytes:
    """What needs no escaping."""
    up = detail(row, now)
    told = f'"{up}"' if up else "null"
    changed = row.updated_at
    updated = "null" if changed is None else f'"{spaced(changed)}"'
    return (
        f'"status_detail":{told},"created_at":"{spaced(row.created_at)}","updated_at":{updated}}}'
    ).encode()


def _without(full: bytes, hidden: frozenset[str]) -> bytes:
    fields: dict[str, Any] = msgspec.json.decode(full)
    return _encode({name: value for name, value in fields.items() if name not in hidden})
