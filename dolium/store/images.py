"""Rows of images on hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from dolium.model import record
from dolium.model.image import OPEN, Image, Stage
from dolium.store import pages
from dolium.store.schema import images as table
from dolium.store.store import Tx

TOPIC = "images"
"""Hinted at when there is something to do."""

_READ = tuple(table.c[name] for name in Image.__struct_fields__)


def get(connection: sa.Connection, uuid: str) -> Image | None:
    """One by its id."""
    row = connection.execute(sa.select(*_READ).where(table.c.uuid == uuid)).first()
    return Image(*row) if row else None


def page(connection: sa.Connection, query: record.Query) -> list[Image]:
    """One page of all there are."""
    return [Image(*row) for row in pages.read(connection, table, _READ, query, "Image")]


def opened(connection: sa.Connection, limit: int) -> list[Image]:
    """Those that something is to be done about, the oldest first."""
    stages = [stage.value for stage in OPEN]
    query = sa.select(*_READ).where(table.c.stage.in_(stages)).order_by(table.c.id).limit(limit)
    return [Image(*row) for row in connection.execute(query)]


def insert(tx: Tx, values: dict[str, Any]) -> bool:
    """A new row; False when the host has one of that name."""
    try:
        with tx.apart():
            tx.run(table.insert(), values)
    except IntegrityError:
        return False
    return True


def named(tx: Tx, host: str, repo: str, tag: str) -> Image | None:
    """A host's image of a name, held until this transaction ends."""
    its = (table.c.host == host, table.c.repo == repo, table.c.tag == tag)
    row: Any = tx.run(sa.select(*_READ).where(*its).with_for_update()).first()
    return Image(*row) if row else None


def move(tx: Tx, uuid: str, stages: Sequence[Stage], values: dict[str, Any]) -> bool:
    """Change a row that is in one of the stages; False when it is not any more."""
    its = sa.and_(table.c.uuid == uuid, table.c.stage.in_([stage.value for stage in stages]))
    return tx.run(table.update().where(its).values(values)).rowcount == 1


def removed(tx: Tx, uuid: str) -> None:
    """The host has it no more."""
    tx.run(table.delete().where(table.c.uuid == uuid, table.c.stage == Stage.REMOVING.value))


def forget(tx: Tx, host: str) -> None:
    """The host is gone, and all it had."""
    tx.run(table.delete().where(table.c.host == host))
