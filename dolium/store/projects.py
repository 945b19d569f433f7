"""What projects use and may use, and their revisions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from dolium import errors
from dolium.store.schema import changes
from dolium.store.schema import projects as table
from dolium.store.store import Tx


class Amounts(Struct, frozen=True, kw_only=True):
    """What containers take, or a limit of it (-1: none)."""

    containers: int = 0
    cpu_m: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


_NAMES = {"containers": "containers", "cpu_m": "cpu", "memory_mib": "memory", "disk_gib": "disk"}


def reserve(tx: Tx, project_id: str, more: Amounts, limits: Amounts) -> None:
    """Take from the project's quota by one conditional UPDATE; raises OverQuota.

    limits: the configured ones, for projects without limits of their own.
    """
    _ensure(tx, project_id)
    fits = [table.c.id == project_id]
    values: dict[str, Any] = {}
    for name in Amounts.__struct_fields__:
        amount, limit = getattr(more, name), _limit(name, getattr(limits, name))
        used = table.c[f"used_{name}"]
        values[used.name] = used + amount
        if amount > 0:
            fits.append(sa.or_(limit < 0, used + amount <= limit))
    if tx.run(table.update().where(*fits).values(**values)).rowcount == 1:
        return
    raise errors.OverQuota(resources=_exceeded(tx, project_id, more, limits))


def give_back(tx: Tx, project_id: str, less: Amounts) -> None:
    """Return what a deleted container took."""
    values = {
        f"used_{name}": table.c[f"used_{name}"] - getattr(less, name)
        for name in Amounts.__struct_fields__
    }
    tx.run(table.update().where(table.c.id == project_id).values(**values))


def changed(tx: Tx, project_id: str, container_uuid: str, what: str, at: float) -> None:
    """Count the project's revision up and write the change down for watchers."""
    tx.run(table.update().where(table.c.id == project_id).values(revision=table.c.revision + 1))
    tx.run(
        changes.insert().from_select(
            ["project_id", "revision", "container_uuid", "what", "at"],
            sa.select(
                table.c.id,
                table.c.revision,
                sa.literal(container_uuid),
                sa.literal(what),
                sa.literal(at),
            ).where(table.c.id == project_id),
        )
    )
    tx.hint(f"project:{project_id}")


def used(connection: sa.Connection, project_id: str) -> Amounts:
    """What a project's containers take together."""
    row = connection.execute(
        sa.select(*(table.c[f"used_{name}"] for name in Amounts.__struct_fields__)).where(
            table.c.id == project_id
        )
    ).first()
    return Amounts(**dict(zip(Amounts.__struct_fields__, row, strict=True))) if row else Amounts()


def trim(tx: Tx, before: float) -> None:
    """Forget changes older than `before`; watchers behind them must read everything again."""
    old = sa.select(changes.c.project_id, sa.func.max(changes.c.revision)).where(
        changes.c.at < before
    )
    for project_id, revision in map(tuple, tx.run(old.group_by(changes.c.project_id))):
        tx.run(
            changes.delete().where(
                changes.c.project_id == project_id, changes.c.revision <= revision
            )
        )
        tx.run(table.update().where(table.c.id == project_id).values(horizon=revision))


def _limit(name: str, default: int) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(table.c[f"limit_{name}"], default)


def _ensure(tx: Tx, project_id: str) -> None:
    if tx.run(sa.select(table.c.id).where(table.c.id == project_id)).first():
        return
    row = {"id": project_id, "revision": 0, "horizon": 0}
    row |= {f"used_{name}": 0 for name in Amounts.__struct_fields__}
    try:
        with tx.connection.begin_nested():
            tx.run(table.insert(), row)
    except IntegrityError:
        return  # somebody else's first container of the project came in between


def _exceeded(tx: Tx, project_id: str, more: Amounts, limits: Amounts) -> list[str]:
    columns: list[sa.ColumnElement[Any]] = []
    for name in Amounts.__struct_fields__:
        columns += [table.c[f"used_{name}"], _limit(name, getattr(limits, name))]
    row: tuple[int, ...] = tuple(tx.run(sa.select(*columns).where(table.c.id == project_id)).one())
    return [
        _NAMES[name]
        for name, in_use, limit in zip(Amounts.__struct_fields__, row[::2], row[1::2], strict=True)
        if getattr(more, name) > 0 and 0 <= limit < in_use + getattr(more, name)
    ]
