"""Rows of commits that are not over."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from dolium.model.commit import Commit, Stage
from dolium.store.schema import commits as table
from dolium.store.schema import containers
from dolium.store.store import Tx

TOPIC = "commits"
"""Hinted at when there is something to do."""

_READ = tuple(table.c[name] for name in Commit.__struct_fields__)


def insert(tx: Tx, commit: Commit) -> None:
    """A new one."""
    tx.run(table.insert(), {name: getattr(commit, name) for name in Commit.__struct_fields__})


def some(connection: sa.Connection, limit: int) -> list[Commit]:
    """The oldest, whatever their stage."""
    query = sa.select(*_READ).order_by(table.c.created_at, table.c.image_id).limit(limit)
    return [Commit(*row) for row in connection.execute(query)]


def orphans(connection: sa.Connection, limit: int) -> list[str]:
    """Those whose containers are gone, or on other hosts, before the images were made."""
    there = sa.exists().where(
        containers.c.uuid == table.c.container_uuid, containers.c.host == table.c.host
    )
    query = (
        sa.select(table.c.image_id)
        .where(table.c.stage == Stage.ASKED.value, sa.not_(there))
        .limit(limit)
    )
    return [row[0] for row in connection.execute(query)]


def move(
    tx: Tx,
    image_id: str,
    stages: Sequence[Stage],
    stage: Stage,
    *,
    host: str | None = None,
    generation: int | None = None,
) -> bool:
    """To the next stage, if it is in one of these; False when it is not."""
    values: dict[str, object] = {"stage": stage.value}
    if host is not None:
        values["host"] = host
    if generation is not None:
        values["generation"] = generation
    its = sa.and_(table.c.image_id == image_id, table.c.stage.in_([str(each) for each in stages]))
    done = tx.run(table.update().where(its).values(values)).rowcount == 1
    if done:
        tx.hint(TOPIC)
    return done


def delete(tx: Tx, image_id: str) -> None:
    """It is over."""
    tx.run(table.delete().where(table.c.image_id == image_id))
