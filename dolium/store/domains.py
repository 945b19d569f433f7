"""Rows of containers by where they are, read for people."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct

from dolium.store.schema import containers, placement_groups

MOST_NAMED = 500
"""Hosts named in one statement."""


class Lodger(Struct, frozen=True):
    """One container, where it is and what is said of it."""

    uuid: str
    name: str
    project_id: str
    status: str
    host: str | None
    status_reason: str | None
    placed_reason: str | None
    group_id: int | None
    group: str | None


class Lodging(Struct, frozen=True):
    """One container on a host."""

    host: str
    project_id: str
    uuid: str
    name: str
    status: str


_C, _G = containers.c, placement_groups.c
_LODGER = sa.select(
    *(_C[name] for name in Lodger.__struct_fields__ if name != "group"), _G.name
).select_from(containers.outerjoin(placement_groups, _G.id == _C.group_id))


def named(connection: sa.Connection, ident: str) -> list[Lodger]:
    """The container with this id, else all with this name, of any project."""
    for column in (_C.uuid, _C.name):
        rows = connection.execute(_LODGER.where(column == ident).order_by(_C.id)).all()
        if rows:
            return [Lodger(*row) for row in map(tuple, rows)]
    return []


def on(connection: sa.Connection, hosts: Sequence[str]) -> list[Lodging]:
    """All containers of these hosts."""
    query = sa.select(*(_C[name] for name in Lodging.__struct_fields__)).order_by(_C.name, _C.id)
    found: list[Lodging] = []
    for at in range(0, len(hosts), MOST_NAMED):
        rows = connection.execute(query.where(_C.host.in_(hosts[at : at + MOST_NAMED])))
        found += [Lodging(*row) for row in rows]
    return found


def mates(connection: sa.Connection, group: int) -> dict[str, str]:
    """Where the members of a group are: id -> host, of those that have one."""
    rows = connection.execute(
        sa.select(_C.uuid, _C.host).where(_C.group_id == group, _C.host.is_not(None))
    )
    return {row[0]: row[1] for row in rows}


def shares(connection: sa.Connection) -> dict[tuple[str, str], dict[str, int]]:
    """How many members of each group (project, name) each host has."""
    rows = connection.execute(
        sa.select(_G.project_id, _G.name, _C.host, sa.func.count())
        .select_from(containers.join(placement_groups, _G.id == _C.group_id))
        .where(_C.host.is_not(None))
        .group_by(_G.project_id, _G.name, _C.host)
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for project_id, name, host, count in map(tuple, rows):
        found.setdefault((project_id, name), {})[host] = count
    return found
