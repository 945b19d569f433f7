"""What is to be settled with Placement: consumers whose allocations may differ from the claims.

A consumer is written down here by whoever ends or changes its claim, in the same transaction, and
stays when it is settled: only of a consumer that stands here does the store know for certain that
nobody needs its allocation any more.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from dolium.store.plain import Plain
from dolium.store.schema import claims, containers, hosts
from dolium.store.schema import settlements as table
from dolium.store.store import Tx

TOPIC = "claims"
"""Hinted at when there is something to ask or to settle."""


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """A claim that Placement knows or has to know of."""

    container_uuid: str
    project_id: str
    stage: str
    status_reason: str | None
    host: str
    consumer: str
    cpu_m: int
    memory_mib: int
    disk_gib: int
    dedicated: int


class Claimant(Struct, frozen=True, kw_only=True):
    """A host as Placement has to know it."""

    name: str
    uuid: str
    updated_at: float
    inventory: bytes
    total_cpu_m: int
    total_memory_mib: int
    total_disk_gib: int
    total_dedicated: int

    @property
    def totals(self) -> tuple[int, int, int, int]:
        """What may be promised of it, in the order of the columns."""
        return (
            self.total_cpu_m,
            self.total_memory_mib,
            self.total_disk_gib,
            self.total_dedicated,
        )


_THE = table.c.consumer == sa.bindparam("consumer_")
_COUNT = Plain(table.update().where(_THE).values(turn=table.c.turn + 1))
_DUE = Plain(table.update().where(_THE).values(turn=table.c.turn + 1, settled_at=sa.null()))
_TURN = Plain(sa.select(table.c.turn).where(_THE))
_LOCKED = Plain(sa.select(table.c.turn).where(_THE).with_for_update())
_ENDED = Plain(
    containers.update()
    .where(containers.c.uuid == sa.bindparam("uuid_"))
    .values(claims_ended=containers.c.claims_ended + 1)
)


def due(tx: Tx, consumer: str, container_uuid: str) -> int:
    """Placement has to be compared with the claim; returns the turn that this is."""
    if tx.plain(_DUE, {"consumer_": consumer}).rowcount != 1:
        try:
            with tx.apart():
                new = {"consumer": consumer, "container_uuid": container_uuid, "turn": 1}
                tx.run(table.insert(), new)
        except IntegrityError:  # written by somebody else meanwhile
            tx.plain(_DUE, {"consumer_": consumer})
    tx.hint(TOPIC)
    return int(tx.plain(_TURN, {"consumer_": consumer}).fetchone()[0])


def end(tx: Tx, consumer: str, container_uuid: str) -> None:
    """The claim is no more; the container's next one has another consumer."""
    due(tx, consumer, container_uuid)
    tx.plain(_ENDED, {"uuid_": container_uuid})


def begin(tx: Tx, consumer: str) -> int:
    """Somebody is going to settle it: whoever was at it before is not any more."""
    tx.plain(_COUNT, {"consumer_": consumer})
    return int(tx.plain(_TURN, {"consumer_": consumer}).fetchone()[0])


def still(tx: Tx, consumer: str, turn: int) -> bool:
    """Whether nobody has been at it since `turn`, and nobody will be before the commit."""
    found = tx.plain(_LOCKED, {"consumer_": consumer}).fetchone()
    return found is not None and found[0] == turn


def done(tx: Tx, consumer: str, turn: int, at: float) -> bool:
    """It is settled, unless somebody has been at it since."""
    mine = (table.c.consumer == consumer, table.c.turn == turn)
    return bool(tx.run(table.update().where(*mine).values(settled_at=at)).rowcount == 1)


def pending(connection: sa.Connection, after: str, most: int) -> list[tuple[str, str]]:
    """Consumers to be settled and their containers, in the order of consumers."""
    rows = connection.execute(
        sa.select(table.c.consumer, table.c.container_uuid)
        .where(table.c.settled_at.is_(None), table.c.consumer > after)
        .order_by(table.c.consumer)
        .limit(most)
    )
    return [(row[0], row[1]) for row in rows]


def known(connection: sa.Connection, consumers: Collection[str]) -> dict[str, bool]:
    """Those of the consumers that stand here, and whether they are settled."""
    rows = connection.execute(
        sa.select(table.c.consumer, table.c.settled_at).where(table.c.consumer.in_(list(consumers)))
    )
    return {row[0]: row[1] is not None for row in rows}


def trim(tx: Tx, before: float, most: int = 1000) -> int:
    """Forget what was settled before; returns how many."""
    old = tx.run(
        sa.select(table.c.consumer, table.c.turn).where(table.c.settled_at < before).limit(most)
    ).all()
    gone = 0
    for consumer, turn in map(tuple, old):
        same = (table.c.consumer == consumer, table.c.turn == turn)
        gone += tx.run(table.delete().where(*same)).rowcount
    return gone


# --- claims as Placement sees them ---------------------------------------------------------------

_ASKED = sa.select(
    claims.c.container_uuid,
    containers.c.project_id,
    containers.c.stage,
    containers.c.status_reason,
    claims.c.host,
    claims.c.consumer,
    claims.c.cpu_m,
    claims.c.memory_mib,
    claims.c.disk_gib,
    claims.c.dedicated,
).join_from(claims, containers, containers.c.uuid == claims.c.container_uuid)
_ASKING: sa.ColumnClause[str] = sa.literal_column("'asking'")


def asking(connection: sa.Connection, most: int) -> list[Asked]:
    """Claims that wait for Placement's word, oldest first."""
    rows = connection.execute(
        _ASKED.where(containers.c.stage == _ASKING, claims.c.consumer.is_not(None))
        .order_by(containers.c.id)
        .limit(most)
    )
    return [Asked(**row._mapping) for row in rows]


def of(connection: sa.Connection, uuids: Collection[str]) -> dict[str, Asked]:
    """The claims of containers that Placement knows or has to know of."""
    mine = claims.c.container_uuid.in_(list(uuids))
    rows = connection.execute(_ASKED.where(mine, claims.c.consumer.is_not(None)))
    return {row.container_uuid: Asked(**row._mapping) for row in rows}


def of_host(connection: sa.Connection, host: str) -> list[Asked]:
    """All claims on a host that Placement knows or has to know of."""
    rows = connection.execute(_ASKED.where(claims.c.host == host, claims.c.consumer.is_not(None)))
    return [Asked(**row._mapping) for row in rows]


def strangers(connection: sa.Connection, most: int) -> list[tuple[str, int]]:
    """Containers with claims from before Placement was asked, and how many of each have ended."""
    rows = connection.execute(
        sa.select(containers.c.uuid, containers.c.claims_ended)
        .join_from(claims, containers, containers.c.uuid == claims.c.container_uuid)
        .where(claims.c.consumer.is_(None))
        .limit(most)
    )
    return [(row[0], row[1]) for row in rows]


def name(tx: Tx, container_uuid: str, consumer: str) -> bool:
    """Give such a claim the consumer that Placement will know it by."""
    unnamed = (claims.c.container_uuid == container_uuid, claims.c.consumer.is_(None))
    if tx.run(claims.update().where(*unnamed).values(consumer=consumer)).rowcount != 1:
        return False
    due(tx, consumer, container_uuid)
    return True


# --- hosts as Placement sees them ----------------------------------------------------------------

_CLAIMANT = sa.select(*(hosts.c[name] for name in Claimant.__struct_fields__))


def claimants(connection: sa.Connection) -> list[Claimant]:
    """All hosts."""
    rows = connection.execute(_CLAIMANT.order_by(hosts.c.name))
    return [Claimant(**row._mapping) for row in rows]


def claimant(connection: sa.Connection, name: str) -> Claimant | None:
    """One by name."""
    row = connection.execute(_CLAIMANT.where(hosts.c.name == name)).first()
    return Claimant(**row._mapping) if row else None


def bound(tx: Tx, seen: Claimant, totals: tuple[int, int, int, int], at: float) -> bool:
    """Promise no more of a host than Placement gives; False when it has changed meanwhile."""
    columns = ("total_cpu_m", "total_memory_mib", "total_disk_gib", "total_dedicated")
    values = dict(zip(columns, totals, strict=True))
    same = (hosts.c.name == seen.name, hosts.c.updated_at == seen.updated_at)
    done = tx.run(hosts.update().where(*same).values(**values, updated_at=at))
    tx.hint("placer")
    return bool(done.rowcount == 1)


def away(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Those of the hosts that get nothing new."""
    closed = sa.or_(hosts.c.silent, hosts.c.forced_down, hosts.c.disabled)
    rows = connection.execute(
        sa.select(hosts.c.name).where(hosts.c.name.in_(sorted(names)), closed)
    )
    return {row[0] for row in rows}
