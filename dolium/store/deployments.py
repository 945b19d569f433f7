"""The id of this installation; everything made outside bears it."""

from __future__ import annotations

import uuid as uuids

import sqlalchemy as sa

from dolium.store.schema import deployment as table
from dolium.store.store import Store, Tx


def ensure(store: Store, at: float) -> str:
    """Read it, or choose it when the database is new."""

    def work(tx: Tx) -> str:
        found = tx.run(sa.select(table.c.uuid)).scalar()
        if found is None:
            found = str(uuids.uuid4())
            tx.run(table.insert(), {"id": 1, "uuid": found, "created_at": at})
        return str(found)

    return store.write(work)
