"""A few numbers about everything there is."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec import Struct

from dolium.model.host import Standing, standing
from dolium.store.containers import GATHERING, NO_SANDBOX
from dolium.store.idle import execute
from dolium.store.schema import actions, containers, hosts


class Overview(Struct, frozen=True, kw_only=True):
    """What `dolium status` counts."""

    containers: dict[str, int]
    """Status -> how many."""
    waiting: int
    """Containers that no host was found for yet."""
    asking: int
    """Containers that have a host as soon as Placement agrees."""
    open_actions: int


def read(connection: sa.Connection) -> Overview:
    """Look."""
    status = containers.c.status
    counts = connection.execute(
        sa.select(status, sa.func.count()).where(NO_SANDBOX).group_by(status)
    )
    number = connection.execute(sa.select(sa.func.count()).where(actions.c.open)).scalar_one()
    return Overview(
        containers=dict(map(tuple, counts)),
        waiting=waiting(connection)[0],
        asking=waiting(connection, "asking")[0],
        open_actions=number,
    )


class Oldest(Struct, frozen=True, kw_only=True):
    """An open action."""

    verb: str
    request_id: str
    since: float
    """When it was asked for, in seconds since the epoch."""
    container: str
    name: str
    host: str | None


def oldest(connection: sa.Connection) -> Oldest | None:
    """The oldest action that has not ended."""
    query = (
        sa.select(
            actions.c.verb,
            actions.c.request_id,
            actions.c.start_time.label("since"),
            containers.c.uuid.label("container"),
            containers.c.name,
            containers.c.host,
        )
        .where(actions.c.open, containers.c.uuid == actions.c.container_uuid)
        .order_by(actions.c.start_time, actions.c.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return Oldest(**row._mapping) if row else None


def answers(connection: sa.Connection) -> None:
    """Whether the database does; raises Unanswered when not."""
    execute(connection, "SELECT 1")


def waiting(connection: sa.Connection, stage: str = "waiting") -> tuple[int, float | None]:
    """How many containers wait for a host ("asking": for Placement), and since when the oldest
    does.
    """
    since = sa.func.coalesce(containers.c.updated_at, containers.c.created_at)
    stages = [stage, GATHERING] if stage == "waiting" else [stage]
    query = sa.select(sa.func.count(), sa.func.min(since)).where(containers.c.stage.in_(stages))
    row = connection.execute(query).one()
    return row[0], row[1]


class Unfinished(Struct, frozen=True, kw_only=True):
    """Open actions."""

    number: int
    oldest: float | None
    """When the oldest was asked for."""
    first: int
    """No action with a lower number is open, nor will be."""


LATE = 1000
"""Numbers given before others may be seen after them, where many write at once."""


def unfinished(connection: sa.Connection, first: int = 0) -> Unfinished:
    """Look at actions from number `first` on: most of a journal has ended long ago."""
    lowest = sa.func.min(actions.c.id)
    query = sa.select(sa.func.count(), sa.func.min(actions.c.start_time), lowest)
    row = connection.execute(query.where(actions.c.open, actions.c.id >= first)).one()
    next_ = row[2] or connection.execute(sa.select(sa.func.max(actions.c.id))).scalar() or 0
    return Unfinished(number=row[0], oldest=row[1], first=max(first, next_ - LATE))


def standings(connection: sa.Connection) -> dict[Standing, int]:
    """How many hosts are in each state."""
    found = dict.fromkeys(Standing, 0)
    columns = (hosts.c[name] for name in ("proof", "silent", "held", "forced_down", "disabled"))
    for proof, silent, held, forced_down, disabled in connection.execute(sa.select(*columns)):
        found[
            standing(
                proof=proof, silent=silent, held=held, forced_down=forced_down, disabled=disabled
            )
        ] += 1
    return found
