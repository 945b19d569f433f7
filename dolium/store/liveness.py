"""Which hosts live: their signs of life, and the judgement about them.

Every write names what was read, so that several who judge at once come to one result.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from dolium.model.container import MOVES, Event, Status
from dolium.store.plain import Plain
from dolium.store.schema import containers
from dolium.store.schema import hosts as table
from dolium.store.store import Tx


class Life(Struct, frozen=True, kw_only=True):
    """What is known about one host's life."""

    name: str
    zone: str
    beat: int
    """How many signs of life were counted: only whether it moves means something."""
    lease_s: int
    silent: bool
    silent_at: float | None
    held: bool
    forced_beat: int | None
    """How many signs of life there had been when an operator declared it down."""
    proof: str | None

    @property
    def declared(self) -> bool:
        """Whether an operator declared it down, and nothing was heard of it since."""
        return self.forced_beat == self.beat


_READ = tuple(table.c[name] for name in Life.__struct_fields__)


_ALL = Plain(sa.select(*_READ))
_GET = Plain(sa.select(*_READ).where(table.c.name == sa.bindparam("host")))


def lives(connection: sa.Connection) -> list[Life]:
    """All hosts."""
    return [_life(*row) for row in _ALL.run(connection, {})]


def get(connection: sa.Connection, name: str) -> Life | None:
    """One by name."""
    row = _GET.run(connection, {"host": name}).fetchone()
    return _life(*row) if row else None


def _life(*row: Any) -> Life:
    name, zone, beat, lease_s, silent, silent_at, held, forced_beat, proof = row
    return Life(
        name=name,
        zone=zone,
        beat=beat,
        lease_s=lease_s,
        silent=bool(silent),  # not every database has a type for that
        silent_at=silent_at,
        held=bool(held),
        forced_beat=forced_beat,
        proof=proof,
    )


def heard(tx: Tx, names: Collection[str], at: float) -> None:
    """These hosts gave signs of life; one statement for all of them. It takes them in the order
    of their names, as claims do: PostgreSQL needs a second to notice a circle.
    """
    named = table.c.name.in_(sorted(names))
    ordered = sa.select(table.c.name).where(named).order_by(table.c.name).with_for_update()
    its = table.c.name.in_(ordered) if tx.connection.dialect.name == "postgresql" else named
    tx.run(table.update().where(its).values(beat=table.c.beat + 1, heard_at=at))


def answered(tx: Tx, name: str, boot: str) -> bool:
    """A silent host is about to be answered: nobody proves it gone by what was seen before. False
    when that has happened.
    """
    its = (table.c.name == name, table.c.boot == boot)
    return bool(tx.run(table.update().where(*its).values(beat=table.c.beat + 1)).rowcount == 1)


def silence(tx: Tx, name: str, beat: int, *, held: bool, at: float) -> bool:
    """The host's signs of life have stopped at `beat`; False when they have not."""
    done = tx.run(
        table.update()
        .where(table.c.name == name, table.c.beat == beat, sa.not_(table.c.silent))
        .values(silent=True, silent_at=at, held=held)
    )
    return bool(done.rowcount == 1)


def hold(tx: Tx, names: Collection[str]) -> None:
    """Nothing of these silent hosts is made anew unless somebody says so."""
    tx.run(
        table.update()
        .where(table.c.name.in_(sorted(names)), table.c.silent, table.c.proof.is_(None))
        .values(held=True)
    )


def sound(tx: Tx, name: str, beat: int) -> bool:
    """The host gives signs of life again. What it was declared by proof stays so until its agent
    has enrolled anew.
    """
    done = tx.run(
        table.update()
        .where(
            table.c.name == name,
            table.c.beat >= beat,
            table.c.silent,
            table.c.proof.is_(None),
        )
        .values(silent=False, silent_at=None, held=False)
    )
    return bool(done.rowcount == 1)


def prove(tx: Tx, name: str, beat: int, proof: str) -> bool:
    """Nothing runs on the silent host any more; False when it was heard of meanwhile.

    Its agent, should it live after all, is cut off until it has enrolled anew.
    """
    done = tx.run(
        table.update()
        .where(
            table.c.name == name,
            table.c.beat == beat,
            table.c.silent,
            sa.not_(table.c.held),
            table.c.proof.is_(None),
        )
        .values(proof=proof, boot="", epoch=table.c.epoch + 1)
    )
    return bool(done.rowcount == 1)


LOSABLE = frozenset(status.value for status in Status if MOVES[status, Event.LOST] is not status)
"""Statuses that say nothing any more once a container's host is silent."""


def unmarked(connection: sa.Connection, name: str, most: int | None = None) -> list[str]:
    """Containers of a host whose status still says what was, oldest first."""
    query = (
        sa.select(containers.c.uuid)
        .where(
            containers.c.host == name,
            containers.c.stage == "ready",
            containers.c.status.in_(sorted(LOSABLE)),
        )
        .order_by(containers.c.id)
        .limit(most)
    )
    return [row[0] for row in connection.execute(query)]


def remaining(connection: sa.Connection, name: str, after: int, most: int) -> list[tuple[int, str]]:
    """Containers of a host by number, after one of them."""
    query = (
        sa.select(containers.c.id, containers.c.uuid)
        .where(containers.c.host == name, containers.c.id > after)
        .order_by(containers.c.id)
        .limit(most)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def stamp(tx: Tx, name: str, *, proven: bool = False) -> int | None:
    """Count the revision of a host that is away (proven) up; None when it is not so any more."""
    away = sa.or_(table.c.silent, table.c.forced_down)
    state = table.c.proof.is_not(None) if proven else away
    done = tx.run(
        table.update().where(table.c.name == name, state).values(revision=table.c.revision + 1)
    )
    if done.rowcount != 1:
        return None
    tx.hint(f"host:{name}")
    return int(tx.run(sa.select(table.c.revision).where(table.c.name == name)).scalar_one())
