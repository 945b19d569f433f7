"""What projects use and may use, and their revisions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.exc import IntegrityError

from dolium import errors
from dolium.model.quota import UNLIMITED, Amounts, Limits
from dolium.store import quota_classes
from dolium.store.plain import Plain
from dolium.store.schema import changes
from dolium.store.schema import projects as table
from dolium.store.store import Tx

_NAMES = {"containers": "containers", "cpu_m": "cpu", "memory_mib": "memory", "disk_gib": "disk"}


CAPSULE = "capsule"
"""The kind of a change that is not a container's."""

_BOUND: sa.ColumnClause[int] = sa.literal_column(str(2**62), sa.BigInteger)
"""What stands for no limit in a comparison."""


def _limit(name: str) -> sa.ColumnElement[Any]:
    """The project's own limit, else that of the class `default`, else the configured one."""
    return sa.func.coalesce(
        table.c[f"limit_{name}"],
        quota_classes.default(name),
        sa.bindparam(f"limit_{name}_", type_=sa.BigInteger),
    )


def _room(name: str) -> sa.ColumnElement[bool]:
    more = sa.bindparam(name, type_=sa.BigInteger)
    limit = sa.func.coalesce(
        sa.func.nullif(_limit(name), sa.literal_column(str(UNLIMITED))), _BOUND
    )
    return sa.or_(more <= 0, table.c[f"used_{name}"] + more <= limit)


# Statements of the hot path are built once: building one costs more than running it.
_ADD = {
    f"used_{name}": table.c[f"used_{name}"] + sa.bindparam(name, type_=sa.BigInteger)
    for name in Amounts.__struct_fields__
}
_THE = table.c.id == sa.bindparam("project")
_RESERVE = Plain(
    table.update().where(_THE, *(_room(name) for name in Amounts.__struct_fields__)).values(_ADD)
)
_GIVE_BACK = Plain(table.update().where(_THE).values(_ADD))
_COUNT = Plain(table.update().where(_THE).values(revision=table.c.revision + 1))
_LOG = Plain(
    changes.insert().from_select(
        ["project_id", "revision", "container_uuid", "what", "at", "kind"],
        sa.select(
            table.c.id,
            table.c.revision,
            sa.bindparam("container", type_=sa.String),
            sa.bindparam("what_", type_=sa.String),
            sa.bindparam("at_", type_=sa.Double),
            sa.bindparam("kind_", type_=sa.String),
        ).where(_THE),
    )
)
_USE = sa.select(
    *(
        column
        for name in Amounts.__struct_fields__
        for column in (table.c[f"used_{name}"], _limit(name))
    )
).where(_THE)


def reserve(tx: Tx, project_id: str, more: Amounts, limits: Amounts) -> None:
    """Take from the project's quota by one conditional UPDATE; raises OverQuota.

    limits: the configured ones, for what neither the project nor the class `default` limits.
    """
    values = asdict(more) | {"project": project_id}
    values |= {f"limit_{name}_": amount for name, amount in asdict(limits).items()}
    if tx.plain(_RESERVE, values).rowcount == 1:
        return
    _ensure(tx, project_id)
    if tx.plain(_RESERVE, values).rowcount == 1:
        return
    raise errors.OverQuota(resources=_exceeded(tx, values, more))


def give_back(tx: Tx, project_id: str, less: Amounts) -> None:
    """Return what a deleted container took."""
    values: dict[str, Any] = {name: -amount for name, amount in asdict(less).items()}
    tx.plain(_GIVE_BACK, values | {"project": project_id})


def changed(
    tx: Tx, project_id: str, uuid: str, what: str, at: float, capsule: str | None = None
) -> None:
    """Count the project's revision up and write the change down for watchers: that of a container,
    or, if it belongs to one, of its capsule.
    """
    if capsule not in (None, uuid) and what in ("created", "deleted"):
        what = "updated"
    change = {"container": capsule or uuid, "what_": what, "at_": at}
    change["kind_"] = CAPSULE if capsule else None
    tx.plain(_COUNT, {"project": project_id})
    tx.plain(_LOG, {"project": project_id} | change)
    tx.hint(f"project:{project_id}")


def used(connection: sa.Connection, project_id: str) -> Amounts:
    """What a project's containers take together."""
    row = connection.execute(
        sa.select(*(table.c[f"used_{name}"] for name in Amounts.__struct_fields__)).where(
            table.c.id == project_id
        )
    ).first()
    return Amounts(**dict(zip(Amounts.__struct_fields__, row, strict=True))) if row else Amounts()


_STANDING = Plain(sa.select(table.c.revision, table.c.horizon).where(_THE))
_CHANGES = Plain(
    sa.select(
        changes.c.revision,
        changes.c.container_uuid,
        changes.c.what,
        changes.c.at,
        changes.c.kind,
    )
    .where(
        changes.c.project_id == sa.bindparam("project"),
        changes.c.revision > sa.bindparam("since"),
    )
    .order_by(changes.c.revision)
    .limit(sa.bindparam("limit_"))
)


def standing(connection: sa.Connection, project_id: str) -> tuple[int, int]:
    """The revision of the last change, and the one up to which changes are forgotten."""
    row = _STANDING.run(connection, {"project": project_id}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def changes_after(
    connection: sa.Connection, project_id: str, since: int, limit: int
) -> list[tuple[int, str, str, float, str | None]]:
    """Revision, id, what, when and kind of each change, oldest first."""
    values = {"project": project_id, "since": since, "limit_": limit}
    return [tuple(row) for row in _CHANGES.run(connection, values).fetchall()]


def limits(connection: sa.Connection, project_id: str) -> Limits:
    """The limits that are the project's own."""
    return quota_classes.read(connection, table, table.c.id == project_id)


def limit(tx: Tx, project_id: str, own: Limits) -> None:
    """Give the project these limits of its own; others stay as they are."""
    if not own:
        return
    change = table.update().where(table.c.id == project_id).values(quota_classes.columns(own))
    if tx.run(change).rowcount == 0:
        _ensure(tx, project_id)
        tx.run(change)


def unlimit(tx: Tx, project_id: str) -> None:
    """Take away all limits that are the project's own."""
    none = dict.fromkeys(f"limit_{name}" for name in Amounts.__struct_fields__)
    tx.run(table.update().where(table.c.id == project_id).values(none))


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


def _ensure(tx: Tx, project_id: str) -> None:
    """Make the project's row unless it is there, or somebody else makes it now."""
    row = {"id": project_id, "revision": 0, "horizon": 0}
    row |= {f"used_{name}": 0 for name in Amounts.__struct_fields__}
    try:
        with tx.apart():
            tx.run(table.insert(), row)
    except IntegrityError:
        return


def _exceeded(tx: Tx, values: dict[str, Any], more: Amounts) -> list[str]:
    row: tuple[int, ...] = tuple(tx.run(_USE, values).one())
    return [
        _NAMES[name]
        for name, in_use, limit in zip(Amounts.__struct_fields__, row[::2], row[1::2], strict=True)
        if getattr(more, name) > 0 and 0 <= limit < in_use + getattr(more, name)
    ]
