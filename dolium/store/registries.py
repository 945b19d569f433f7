"""Rows of registries."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dolium.model import record
from dolium.model.registry import Registry
from dolium.store import pages
from dolium.store.schema import containers
from dolium.store.schema import registries as table
from dolium.store.store import Tx

_READ = tuple(table.c[name] for name in Registry.__struct_fields__)


def get(connection: sa.Connection, uuid: str) -> Registry | None:
    """One by its id."""
    row = connection.execute(sa.select(*_READ).where(table.c.uuid == uuid)).first()
    return Registry(*row) if row else None


def named(connection: sa.Connection, name: str, project_id: str | None) -> list[Registry]:
    """Two of a name at most: of one project, or (None) of all."""
    query = sa.select(*_READ).where(table.c.name == name).limit(2)
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    return [Registry(*row) for row in connection.execute(query)]


def page(connection: sa.Connection, query: record.Query, project_id: str | None) -> list[Registry]:
    """One page of a list; project_id None is all projects."""
    mine = [] if project_id is None else [table.c.project_id == project_id]
    rows = pages.read(connection, table, _READ, query, "Registry", *mine)
    return [Registry(*row) for row in rows]


def insert(tx: Tx, values: dict[str, Any]) -> None:
    """A new row."""
    tx.run(table.insert(), values)


def change(tx: Tx, uuid: str, values: dict[str, Any]) -> None:
    """Write what was changed."""
    tx.run(table.update().where(table.c.uuid == uuid).values(values))


def _hold(tx: Tx, uuid: str, *, shared: bool) -> bool:
    # The domain is in no index: MariaDB would lock only the index, where nobody else meets it.
    row = sa.select(table.c.domain).where(table.c.uuid == uuid).with_for_update(read=shared)
    return tx.run(row).first() is not None


def keep(tx: Tx, uuid: str) -> bool:
    """See to it that the registry stays until this transaction ends; False when it is gone."""
    return _hold(tx, uuid, shared=True)


def user(tx: Tx, registry: Registry) -> str | None:
    """A container that was created with the registry; until this transaction ends no other is."""
    _hold(tx, registry.uuid, shared=False)
    its = sa.and_(
        containers.c.project_id == registry.project_id, containers.c.registry_id == registry.uuid
    )
    found: str | None = tx.run(sa.select(containers.c.uuid).where(its).limit(1)).scalar()
    return found


def delete(tx: Tx, uuid: str) -> bool:
    """Remove the row; True for the one who really did."""
    return tx.run(table.delete().where(table.c.uuid == uuid)).rowcount == 1


def newest_sealed(connection: sa.Connection) -> str | None:
    """The password that was written last, as it is kept."""
    query = sa.select(table.c.sealed).where(table.c.sealed.is_not(None))
    newest = sa.func.coalesce(table.c.updated_at, table.c.created_at).desc()
    found: str | None = connection.execute(query.order_by(newest).limit(1)).scalar()
    return found
