"""A container as clients read it, spliced from bytes that lie ready in its row.

Nothing is decoded on the way: what only administrators see is appended or left out (decision 4).
Operators may hide more fields by policy; only then an answer is taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from dolium.model import record
from dolium.model.container import Guarded, Status

GUARDED = frozenset(["host", *Guarded.__struct_fields__])
"""Fields in the variant for administrators only."""

_UUID_END = len('{"uuid":"","') + 36 - 1
"""Where the second key of an answer begins."""

_encode = msgspec.json.encode


class _Head(Struct):
    uuid: str
    name: str
    project_id: str
    user_id: str
    status: str
    status_reason: str | None
    task_state: str | None


def spaced(seconds: float) -> str:
    """`2026-11-20 23:31:59.257824`: no T, no zone, or gophercloud can't read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "microseconds")[:26]


def ago(seconds: float) -> str:
    """`5 mins`, in the coarsest unit that fits."""
    whole = max(0, int(seconds))
    if whole >= 86400:
        return f"{whole // 86400} days"
    if whole >= 3600:
        return f"{whole // 3600} hours"
    return f"{whole // 60} mins" if whole >= 60 else f"{whole} seconds"


def detail(row: record.Container, now: float) -> str | None:
    """`Up 5 mins`, `Exited(137) 3 seconds ago`: as old as the answer, not as the row."""
    status = row.status
    if status == Status.RUNNING or status == Status.PAUSED:
        if row.started_at is None:
            return None
        frozen = " (paused)" if status == Status.PAUSED else ""
        return f"Up {ago(now - row.started_at)}{frozen}"
    if status == Status.STOPPED or status == Status.ERROR:
        if row.finished_at is None or row.exit_code is None:
            return None
        failed = " (error)" if status == Status.ERROR else ""
        return f"Exited({row.exit_code}) {ago(now - row.finished_at)} ago{failed}"
    if status in (Status.CREATED, Status.RESTARTING, Status.DEAD):
        return str(status)
    return None


def one(row: record.Container, hidden: frozenset[str], now: float, prefix: str) -> bytes:
    """A container with its links."""
    plain = _bytes(row, hidden, now)
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
    items = b",".join([_bytes(row, hidden, now) for row in rows])
    return b"".join((b'{"containers":[', items, b'],"next":', _encode(next_page), b"}"))


def _bytes(row: record.Container, hidden: frozenset[str], now: float) -> bytes:
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
    updated = f'"{spaced(row.updated_at)}"' if row.updated_at is not None else "null"
    return (
        f'"status_detail":{told},"created_at":"{spaced(row.created_at)}","updated_at":{updated}}}'
    ).encode()


def _without(full: bytes, hidden: frozenset[str]) -> bytes:
    fields: dict[str, Any] = msgspec.json.decode(full)
    return _encode({name: value for name, value in fields.items() if name not in hidden})
