"""Rows of placement groups. Who is a member, and where, is what the containers' rows say."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from dolium.store.plain import Plain
from dolium.store.schema import containers
from dolium.store.schema import placement_groups as table
from dolium.store.store import Tx

_NAMED = (table.c.project_id == sa.bindparam("project"), table.c.name == sa.bindparam("name_"))
_JOIN = Plain(table.update().where(*_NAMED).values(revision=table.c.revision + 1))
_ID = Plain(sa.select(table.c.id).where(*_NAMED))
_LOCK = Plain(
    table.update().where(table.c.id == sa.bindparam("id_")).values(revision=table.c.revision + 1)
)
_MEMBERS = Plain(
    sa.select(containers.c.host, sa.func.count())
    .where(containers.c.group_id == sa.bindparam("id_"), containers.c.host.is_not(None))
    .group_by(containers.c.host)
)


def join(tx: Tx, project_id: str, name: str) -> int:
    """The number of a project's group for a container that is about to be written, made if new.

    Groups are locked before hosts and projects. `trim` can't take it away: its revision moves.
    """
    values = {"project": project_id, "name_": name}
    if tx.plain(_JOIN, values).rowcount != 1:
        try:
            with tx.apart():
                tx.run(table.insert(), {"project_id": project_id, "name": name, "revision": 1})
        except IntegrityError:  # made by somebody else meanwhile
            tx.plain(_JOIN, values)
    return int(tx.plain(_ID, values).fetchone()[0])


def members(tx: Tx, group: int) -> dict[str, int]:
    """How many of a group each host has; nobody else places one of it until the commit."""
    tx.plain(_LOCK, {"id_": group})
    return dict(tx.plain(_MEMBERS, {"id_": group}).fetchall())


def trim(tx: Tx, most: int = 1000) -> int:
    """Forget groups without containers; returns how many."""
    held = sa.exists().where(containers.c.group_id == table.c.id)
    empty = tx.run(sa.select(table.c.id, table.c.revision).where(~held).limit(most)).all()
    gone = 0
    for number, revision in map(tuple, empty):
        # Who joins meanwhile counts the revision up, also where its container is not yet seen.
        unchanged = (table.c.id == number, table.c.revision == revision)
        gone += tx.run(table.delete().where(*unchanged)).rowcount
    return gone
