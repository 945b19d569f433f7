"""Hosts as operators see them: what they have, whether they live, and what was said about them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from dolium.store.containers import NO_SANDBOX
from dolium.store.schema import containers
from dolium.store.schema import hosts as table
from dolium.store.store import Tx


class Service(Struct, frozen=True, kw_only=True):
    """One host with its agent. Times are seconds since the epoch."""

    id: int
    uuid: str
    name: str
    zone: str
    inventory: bytes
    hypervisor: str | None
    """As Nova told; see Inventory.known."""
    used_cpu_m: int
    used_memory_mib: int
    used_disk_gib: int
    disabled: bool
    disabled_reason: str | None
    beat: int
    """How many signs of life were counted."""
    heard_at: float | None
    silent: bool
    silent_at: float | None
    held: bool
    """It fell silent together with too many others: nothing of it is made anew unasked."""
    forced_down: bool
    proof: str | None
    """Why it is certain that nothing runs on it any more."""
    created_at: float
    updated_at: float | None

    @property
    def up(self) -> bool:
        """Whether it answers, and nobody said that it does not."""
        return not (self.silent or self.forced_down)


_READ = tuple(table.c[name] for name in Service.__struct_fields__)


def _service(row: Any) -> Service:
    return Service(**row._mapping)


def all_of_them(connection: sa.Connection) -> list[Service]:
    """Every host, in the order of their arrival."""
    return [_service(row) for row in connection.execute(sa.select(*_READ).order_by(table.c.id))]


def find(connection: sa.Connection, ident: str) -> Service | None:
    """One by name or id."""
    known = sa.or_(table.c.name == ident, table.c.uuid == ident)
    row = connection.execute(sa.select(*_READ).where(known)).first()
    return _service(row) if row else None


def crowds(connection: sa.Connection) -> dict[str, int]:
    """How many containers each host has."""
    host = containers.c.host
    counted = sa.select(host, sa.func.count()).where(host.is_not(None), NO_SANDBOX).group_by(host)
    return dict(map(tuple, connection.execute(counted)))


def zones(connection: sa.Connection) -> list[str]:
    """Every zone that has a host."""
    found = connection.execute(sa.select(table.c.zone).distinct().order_by(table.c.zone))
    return [row[0] for row in found]


def say(tx: Tx, name: str, **values: Any) -> bool:
    """Write an operator's word down; False when there is no such host."""
    done = tx.run(table.update().where(table.c.name == name).values(values))
    return bool(done.rowcount == 1)


def force(tx: Tx, name: str, *, down: bool) -> bool:
    """Declare a host down, or take that back. What is heard of it later makes the word void as a
    proof: the next silence is another one.
    """
    if not down:
        return say(tx, name, forced_down=False, forced_beat=None)
    return say(tx, name, forced_down=True, forced_beat=table.c.beat, held=False)


def declare(tx: Tx, name: str, proof: str) -> bool:
    """Nothing runs on the host any more, an operator says: what its agent says from now on counts
    for nothing until it has enrolled anew.
    """
    return say(
        tx,
        name,
        **{"silent": True, "held": False, "forced_down": True, "proof": proof},
        **{"boot": "", "epoch": table.c.epoch + 1},
    )


def delete(tx: Tx, name: str) -> bool:
    """Forget a host that has no containers; False when it has some, or is not there."""
    used = sa.exists().where(containers.c.host == name)
    return tx.run(table.delete().where(table.c.name == name, ~used)).rowcount == 1
