"""A capsule as it is: its sandbox and the containers that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from dolium import errors
from dolium.model import capsule, reading
from dolium.model.capsule import Part
from dolium.model.container import Spec
from dolium.store import capsules, containers
from dolium.store.containers import Observed
from dolium.store.store import Connection, Tx

_spec = reading.reader(Spec)

CLAIMED_BY_SANDBOX = {"cpu_m": 0, "memory_mib": 0}
"""Columns of all others of a capsule: what they need stands in the sandbox's row."""


class Capsule(NamedTuple):
    """One capsule."""

    sandbox: Observed
    inits: Sequence[Observed]
    containers: Sequence[Observed]

    @property
    def parts(self) -> list[Observed]:
        """All rows of it."""
        return [self.sandbox, *self.inits, *self.containers]

    @property
    def spec(self) -> Spec:
        """What was asked for as a whole."""
        return _spec(self.sandbox.spec)

    def resized(self, uuid: str, new: Spec) -> Spec:
        """What is asked for as a whole once one of its containers is to be like this."""
        inits, others = (
            [new if row.uuid == uuid else _spec(row.spec) for row in some]
            for some in (self.inits, self.containers)
        )
        total = capsule.amounts(inits, others)
        return msgspec.structs.replace(
            self.spec, cpu=total.cpu_m / 1000, memory=str(total.memory_mib)
        )


def whole(rows: Sequence[Observed]) -> Capsule:
    """Of all rows of one, as the store has them."""
    sandbox, *others = rows
    return Capsule(
        sandbox,
        [row for row in others if row.part == Part.INIT],
        [row for row in others if row.part != Part.INIT],
    )


def read(connection: Connection, capsule_id: str) -> Capsule:
    """One by its id; raises NotFound."""
    found = capsules.parts(connection, [capsule_id]).get(capsule_id)
    if not found or found[0].part != Part.SANDBOX:
        raise errors.NotFound(kind="Container", id=capsule_id)  # as the API says of capsules too
    return whole(found)


def hold(tx: Tx, capsule_id: str) -> Capsule:
    """The same; nobody else changes anything of it before the transaction ends."""
    containers.hold(tx, [row.uuid for row in read(tx.connection, capsule_id).parts])
    return read(tx.connection, capsule_id)
