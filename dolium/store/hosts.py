"""Rows of hosts: what they have, what is taken, and their revisions."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import astuple

from dolium.model.host import Hello, Inventory
from dolium.model.placing import whole
from dolium.store import settlements
from dolium.store.plain import Among, Bulk, Plain
from dolium.store.schema import claims, tombstones
from dolium.store.schema import hosts as table
from dolium.store.store import Tx


class Host(Struct, frozen=True):
    """One host as placing and the link need it."""

    name: str
    boot: str
    epoch: int
    revision: int
    horizon: int
    zone: str
    disabled: bool
    inventory: bytes
    total_cpu_m: int
    total_memory_mib: int
    total_disk_gib: int
    used_cpu_m: int
    used_memory_mib: int
    used_disk_gib: int
    total_dedicated: int
    used_dedicated: int
    silent: bool
    hypervisor: str | None
    """As Nova told; see Inventory.known."""


_READ = tuple(table.c[name] for name in Host.__struct_fields__)


_THE = table.c.name == sa.bindparam("host")
_GET = Plain(sa.select(*_READ).where(_THE))
_HOLD = Plain(sa.select(*_READ).where(_THE).with_for_update())
_COUNT = Plain(table.update().where(_THE).values(revision=table.c.revision + 1))
_REVISION = Plain(sa.select(table.c.revision).where(_THE))


def get(connection: sa.Connection, name: str) -> Host | None:
    """One by name."""
    row = _GET.run(connection, {"host": name}).fetchone()
    return Host(*row) if row else None


def hold(tx: Tx, name: str) -> Host | None:
    """One by name, which nobody else changes before this transaction ends."""
    row = _HOLD.run(tx.connection, {"host": name}).fetchone()
    return Host(*row) if row else None


_ALL = Plain(sa.select(*_READ))


def all_of_them(connection: sa.Connection) -> list[Host]:
    """Every host there is."""
    return [Host(*row) for row in _ALL.run(connection, {})]


_PLACE = Plain(sa.select(table.c.address, table.c.port).where(_THE))


def place(connection: sa.Connection, name: str) -> tuple[str, int] | None:
    """Where a host answers questions; None when it told no address."""
    row = _PLACE.run(connection, {"host": name}).fetchone()
    return (row[0], row[1]) if row and row[0] else None


Load = tuple[str, int, float, bool, bool, int, int, int, int]
"""What changes of a host: name, epoch, when it last became another, disabled, whether it is away
(silent or declared down), used milli-CPU, MiB, GiB and dedicated CPUs.
"""
_LOADS = Plain(
    sa.select(
        table.c.name,
        table.c.epoch,
        table.c.updated_at,
        table.c.disabled,
        sa.or_(table.c.silent, table.c.forced_down),
        table.c.used_cpu_m,
        table.c.used_memory_mib,
        table.c.used_disk_gib,
        table.c.used_dedicated,
    )
)


def loads(connection: sa.Connection) -> list[Load]:
    """How much of each host is used: a tenth of reading all about them."""
    found: list[Load] = _LOADS.run(connection, {}).fetchall()
    return found


class Run(Struct, frozen=True):
    """A host and which of its agent's starts this is."""

    uuid: str
    name: str
    epoch: int


_RUNS = Plain(sa.select(table.c.uuid, table.c.name, table.c.epoch))


def runs(connection: sa.Connection) -> list[Run]:
    """Those of all hosts."""
    return [Run(*row) for row in _RUNS.run(connection, {})]


def stands(tx: Tx, name: str, hypervisor: str | None, at: float) -> bool:
    """On which physical machine a host is, as others than its agent found; False when that was
    known already. To who places it has become another.
    """
    other = table.c.hypervisor.is_distinct_from(hypervisor)
    values = {"hypervisor": hypervisor, "updated_at": at}
    done = tx.run(table.update().where(table.c.name == name, other).values(values))
    if done.rowcount != 1:
        return False
    tx.hint("placer")
    return True


_TOTALS = ("total_cpu_m", "total_memory_mib", "total_disk_gib", "total_dedicated")


def enrol(tx: Tx, hello: Hello, totals: tuple[int, int, int, int], at: float) -> int:
    """Write a host's Hello down; returns its new epoch. A new boot cuts the older one off."""
    inventory: Inventory = hello.inventory
    values: dict[str, Any] = {
        "boot": hello.boot,
        "zone": inventory.zone,
        "inventory": msgspec.json.encode(inventory),
        "address": hello.address or None,
        "port": hello.port or None,
        "lease_s": hello.lease_s,
        "updated_at": at,
        "heard_at": at,
    }
    values |= {"silent": False, "silent_at": None, "held": False, "proof": None}
    values |= dict(zip(_TOTALS, totals, strict=True))
    known = sa.select(table.c.epoch, table.c.boot, table.c.proof).where(table.c.name == hello.host)
    found = tx.run(known.with_for_update()).first()
    if found is None:
        values |= {"used_cpu_m": 0, "used_memory_mib": 0, "used_disk_gib": 0, "used_dedicated": 0}
        values |= {"uuid": str(uuids.uuid4()), "name": hello.host, "epoch": 1}
        values |= {"disabled": False, "revision": 1, "horizon": 0, "created_at": at}
        values |= {"beat": 1, "forced_down": False}
        tx.run(table.insert(), values)
        return 1
    if found.proof is not None:  # what went meanwhile it has yet to hear of
        tx.run(tombstones.update().where(tombstones.c.host == hello.host).values(at=at))
    epoch = found.epoch if found.boot == hello.boot else found.epoch + 1
    values |= {"epoch": epoch, "beat": table.c.beat + 1}
    tx.run(table.update().where(table.c.name == hello.host).values(values))
    return int(epoch)


def stamp(tx: Tx, name: str) -> int:
    """Count the host's revision up and return it; whoever waits for the host is woken."""
    tx.plain(_COUNT, {"host": name})
    tx.hint(f"host:{name}")
    return int(tx.plain(_REVISION, {"host": name}).fetchone()[0])


def forget(tx: Tx, name: str, horizon: int) -> None:
    """Deletions up to the horizon are no longer told: who is behind gets a full page."""
    tx.run(
        table.update()
        .where(table.c.name == name, table.c.horizon < horizon)
        .values(horizon=horizon)
    )


class Claim(Struct, frozen=True, kw_only=True, gc=False):
    """Amounts taken on a host for one container."""

    container_uuid: str
    host: str
    epoch: int
    cpu_m: int
    memory_mib: int
    disk_gib: int
    dedicated: int = 0
    """Whole CPUs for itself; `cpu_m` has what they take of what may be promised."""
    consumer: str | None = None
    """What Placement knows the claim by, where it is asked: no two claims have the same."""


_CLAIM = Bulk(
    {
        "host": sa.String,
        "cpu_m": sa.BigInteger,
        "memory_mib": sa.BigInteger,
        "disk_gib": sa.BigInteger,
        "dedicated": sa.Integer,
    },
    lambda given: (
        table.update()
        .where(
            table.c.name == given.host,
            sa.not_(table.c.disabled),
            sa.not_(table.c.silent),
            sa.not_(table.c.forced_down),
            table.c.used_cpu_m + given.cpu_m <= table.c.total_cpu_m,
            table.c.used_memory_mib + given.memory_mib <= table.c.total_memory_mib,
            table.c.used_disk_gib + given.disk_gib <= table.c.total_disk_gib,
            # What was promised before pinning was switched off keeps nobody else out.
            sa.or_(
                given.dedicated == 0,
                table.c.used_dedicated + given.dedicated <= table.c.total_dedicated,
            ),
        )
        .values(
            used_cpu_m=table.c.used_cpu_m + given.cpu_m,
            used_memory_mib=table.c.used_memory_mib + given.memory_mib,
            used_disk_gib=table.c.used_disk_gib + given.disk_gib,
            used_dedicated=table.c.used_dedicated + given.dedicated,
            revision=table.c.revision + 1,
        )
    ),
)


_CLAIMED = Plain(claims.insert(), Claim.__struct_fields__)


def claim(tx: Tx, wanted: Sequence[Claim]) -> bool:
    """Take all claims or nothing: one conditional UPDATE per host with the sum of its claims.

    Each host's revision is counted up too, for those who are placed by it (containers.place).
    """
    sums: dict[str, list[Any]] = {}
    for one in wanted:
        total = sums.get(one.host)
        if total is None:
            total = sums[one.host] = [one.host, 0, 0, 0, 0]
        total[1] += one.cpu_m
        total[2] += one.memory_mib
        total[3] += one.disk_gib
        total[4] += one.dedicated
    rows = [tuple(sums[host]) for host in sorted(sums)]
    if len(rows) == 1:  # it is claimed or not: there is nothing to take back
        taken = _take(tx, rows)
    else:
        try:
            with tx.apart():
                taken = _take(tx, rows)
                if not taken:
                    raise _NoRoom
        except _NoRoom:
            return False
    if taken:
        tx.fill(_CLAIMED, [astuple(one) for one in wanted])
        tx.hints.update([f"host:{host}" for host in sums])
    return taken


class _NoRoom(Exception):
    pass


_LOCK = Among(
    table.c.name,
    lambda those: sa.select(table.c.name).where(those).order_by(table.c.name).with_for_update(),
)


def _take(tx: Tx, sums: list[tuple[Any, ...]]) -> bool:
    # Always in the order of names, so that two placers never wait for each other in a circle.
    # PostgreSQL joins in an order of its own, and needs a second to notice a circle.
    if len(sums) > 1 and tx.connection.dialect.name == "postgresql":
        list(_LOCK.run(tx.connection, [host for host, *_ in sums]))
    return tx.bulk(_CLAIM, sums) == len(sums)


_EVERY_REVISION = Plain(sa.select(table.c.name, table.c.revision))


def every_revision(connection: sa.Connection) -> dict[str, int]:
    """The present revision of each host."""
    return dict(_EVERY_REVISION.run(connection, {}).fetchall())


def release(tx: Tx, container_uuid: str) -> None:
    """Give back what a container took, if it took anything. Only who deleted its row calls."""
    row = tx.run(sa.select(claims).where(claims.c.container_uuid == container_uuid)).first()
    if row is None:
        return
    tx.run(claims.delete().where(claims.c.container_uuid == container_uuid))
    tx.run(
        table.update()
        .where(table.c.name == row.host)
        .values(
            used_cpu_m=table.c.used_cpu_m - row.cpu_m,
            used_memory_mib=table.c.used_memory_mib - row.memory_mib,
            used_disk_gib=table.c.used_disk_gib - row.disk_gib,
            used_dedicated=table.c.used_dedicated - row.dedicated,
        )
    )
    if row.consumer is not None:
        settlements.end(tx, row.consumer, container_uuid)
    tx.hint("placer")


def reclaim(tx: Tx, container_uuid: str, cpu_m: int | None, memory_mib: int) -> bool:
    """Change what a placed container takes (cpu_m None keeps its CPUs); False when its host has
    no room for more.
    """
    row = tx.run(sa.select(claims).where(claims.c.container_uuid == container_uuid)).first()
    if row is None:
        return True
    cpu_m = row.cpu_m if cpu_m is None else cpu_m
    if row.consumer is not None:
        cpu_m = whole(cpu_m)
        settlements.due(tx, row.consumer, container_uuid)
    more = {"cpu_m": cpu_m - row.cpu_m, "memory_mib": memory_mib - row.memory_mib}
    fits: list[sa.ColumnElement[bool]] = [table.c.name == row.host]
    values: dict[str, Any] = {}
    for name, amount in more.items():
        used = table.c[f"used_{name}"]
        values[used.name] = used + amount
        if amount > 0:
            fits.append(used + amount <= table.c[f"total_{name}"])
    if tx.run(table.update().where(*fits).values(**values)).rowcount != 1:
        return False
    tx.run(
        claims.update()
        .where(claims.c.container_uuid == container_uuid)
        .values(cpu_m=cpu_m, memory_mib=memory_mib)
    )
    return True


def claimed(connection: sa.Connection) -> Iterable[Claim]:
    """All claims, for checks."""
    return [Claim(**row._mapping) for row in connection.execute(sa.select(claims))]
