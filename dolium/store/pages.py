"""Pages of lists: the same order in every database, with empty values first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dolium import errors
from dolium.model import record


def read(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    query: record.Query,
    kind: str,
    *where: sa.ColumnElement[bool],
) -> list[Any]:
    """The rows of one page of a table with columns `id` and `uuid`.

    kind: what the rows are, for who names a marker that is none of them.
    """
    key, down = table.c[query.sort_key], query.sort_dir == "desc"
    order: list[sa.ColumnElement[Any]] = [key] if key is table.c.id else [key, table.c.id]
    if key.nullable:
        order.insert(0, key.is_not(None))
    statement = sa.select(*columns).where(*where).limit(query.limit)
    for name, value in query.filters.items():
        statement = statement.where(table.c[name] == value)
    if query.marker is not None:
        marker = sa.select(key, table.c.id).where(table.c.uuid == query.marker, *where)
        found = connection.execute(marker).first()
        if found is None:
            raise errors.NotFound(kind=kind, id=query.marker)
        statement = statement.where(_after(key, table.c.id, found[0], found[1], down=down))
    ordered = statement.order_by(*(each.desc() if down else each.asc() for each in order))
    return list(connection.execute(ordered))


def _after(
    key: sa.Column[Any], number: sa.Column[Any], value: Any, at: int, *, down: bool
) -> sa.ColumnElement[bool]:
    """What comes behind a row."""
    later = number < at if down else number > at
    if value is None:
        return sa.and_(key.is_(None), later) if down else sa.or_(key.is_not(None), later)
    beyond = sa.or_(key < value, key.is_(None)) if down else key > value
    return sa.or_(beyond, sa.and_(key == value, later))
