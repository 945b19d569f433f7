"""Rows of the processes that work on this database: who is here, and where to wake them."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec import Struct

from dolium.store.schema import members as table
from dolium.store.store import Connection, Tx


class Member(Struct, frozen=True, kw_only=True):
    """One process of the control side."""

    id: str
    """Chosen anew at each start."""
    role: str
    host: str
    address: str
    """Where it takes hints, ADDRESS:PORT; empty: nowhere."""
    version: str
    started_at: float
    beat: int = 0
    """Grows while it lives; how fast says nothing."""


_READ = tuple(table.c[name] for name in Member.__struct_fields__)


def beat(tx: Tx, member: Member) -> None:
    """Show a sign of life; also when the row is there no more."""
    values = {"beat": table.c.beat + 1, "address": member.address}
    if tx.run(table.update().where(table.c.id == member.id).values(values)).rowcount == 0:
        names = [name for name in Member.__struct_fields__ if name != "beat"]
        tx.run(table.insert(), {name: getattr(member, name) for name in names} | {"beat": 1})


def all_of_them(connection: Connection) -> list[Member]:
    """Everybody who has a row, the oldest first."""
    rows = connection.execute(sa.select(*_READ).order_by(table.c.started_at, table.c.id))
    return [Member(**row._mapping) for row in rows]


def drop(tx: Tx, member_id: str, beat: int | None = None) -> None:
    """One has left, or (beat) shows no sign of life since that one."""
    where = [table.c.id == member_id]
    if beat is not None:
        where.append(table.c.beat == beat)
    tx.run(table.delete().where(*where))
