"""Named sets of limits. The class `default` is what projects have that nobody limited."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from dolium.model.quota import DEFAULT, Amounts, Limits
from dolium.store.schema import quota_classes as table
from dolium.store.store import Tx

_THE: sa.ColumnClause[str] = sa.literal_column(f"'{DEFAULT}'")


def default(name: str) -> sa.ScalarSelect[Any]:
    """A limit of the class `default`, as a part of another statement."""
    return sa.select(table.c[f"limit_{name}"]).where(table.c.name == _THE).scalar_subquery()


def columns(limits: Limits) -> dict[str, int]:
    """The same by columns, which tables of limits have alike."""
    return {f"limit_{name}": value for name, value in limits.items()}


def read(connection: sa.Connection, holder: sa.Table, which: sa.ColumnElement[bool]) -> Limits:
    """The limits that one row of such a table sets."""
    names = Amounts.__struct_fields__
    row = connection.execute(
        sa.select(*(holder.c[f"limit_{name}"] for name in names)).where(which)
    ).first()
    found = dict(zip(names, row, strict=True)) if row else {}
    return {name: value for name, value in found.items() if value is not None}


def limits(connection: sa.Connection, name: str) -> Limits:
    """The limits that a class sets; one that nobody made sets none."""
    return read(connection, table, table.c.name == name)


def limit(tx: Tx, name: str, changed: Limits) -> None:
    """Set these limits of a class; others stay as they are."""
    if not changed:
        return
    change = table.update().where(table.c.name == name).values(columns(changed))
    if tx.run(change).rowcount:
        return
    try:
        with tx.apart():
            tx.run(table.insert(), {"name": name} | columns(changed))
    except IntegrityError:  # somebody else made it now
        tx.run(change)
