"""A few numbers about everything there is."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec import Struct

from dolium.store.schema import actions, containers, hosts


class Overview(Struct, frozen=True, kw_only=True):
    """What `dolium status` shows."""

    containers: dict[str, int]
    """Status -> how many."""
    hosts: list[str]
    open_actions: int
    oldest: float | None
    """When the oldest open action was asked for, in seconds since the epoch."""


def read(connection: sa.Connection) -> Overview:
    """Look."""
    status = containers.c.status
    counts = connection.execute(sa.select(status, sa.func.count()).group_by(status))
    journal = connection.execute(
        sa.select(sa.func.count(), sa.func.min(actions.c.start_time)).where(actions.c.open)
    ).one()
    names = connection.execute(sa.select(hosts.c.name).order_by(hosts.c.name))
    return Overview(
        containers=dict(map(tuple, counts)),
        hosts=[row[0] for row in names],
        open_actions=journal[0],
        oldest=journal[1],
    )
