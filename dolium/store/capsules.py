"""Rows of capsules: those of their sandboxes, with the containers that belong to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from dolium.model.capsule import Part
from dolium.store.containers import Observed
from dolium.store.plain import Among
from dolium.store.schema import containers as table
from dolium.store.store import Tx

FOLLOWS = "follows"
"""The stage of a container that gets its host with its sandbox."""

_OBSERVED = tuple(table.c[name] for name in Observed.__struct_fields__)
_PARTS = Among(
    table.c.capsule_id, lambda those: sa.select(*_OBSERVED).where(those).order_by(table.c.id)
)


def parts(connection: sa.Connection, ids: Iterable[str]) -> dict[str, list[Observed]]:
    """All containers of each capsule, in the order they were asked for, the sandbox first."""
    found: dict[str, list[Observed]] = {}
    if ids := sorted(set(ids)):
        for row in (Observed(*each) for each in _PARTS.run(connection, ids)):
            found.setdefault(row.capsule_id or "", []).append(row)
    return found


def named(connection: sa.Connection, name: str, project_id: str | None) -> list[str]:
    """Ids of those of a name, at most two: of one project, or (None) of all."""
    query = sa.select(table.c.uuid).where(table.c.name == name, table.c.part == Part.SANDBOX.value)
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    return [row[0] for row in connection.execute(query.limit(2))]


def follow(tx: Tx, ids: Collection[str]) -> None:
    """The sandboxes have got hosts, or lost them: all others of the capsules go along."""
    for uuid in sorted(ids):
        where = sa.select(table.c.host, table.c.stage, table.c.revision).where(table.c.uuid == uuid)
        host, stage, revision = tuple(tx.run(where).one())
        others = table.c.capsule_id == uuid, table.c.uuid != uuid
        stage = stage if host else FOLLOWS
        values = {"host": host, "stage": stage, "revision": revision}
        tx.run(table.update().where(*others).values(values))
