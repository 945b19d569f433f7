"""Rows of enrolments: which certificates of a host count, and the token for its next one.

A certificate bears the generation it was made for. Enrolling anew and revoking count it up, so no
list of certificates is kept, and a renewal that races a revocation gains nothing.
"""

from __future__ import annotations

import sqlalchemy as sa

from dolium.store.schema import enrolments as table
from dolium.store.store import Connection, Tx


def offer(tx: Tx, host: str, token_sha256: str, until: float, at: float) -> None:
    """One more host may enrol with a token, or a known one anew; an older token is void."""
    values = {
        "token_sha256": token_sha256,
        "token_until": until,
        "request_sha256": None,
        "updated_at": at,
    }
    if not tx.run(table.update().where(table.c.host == host).values(values)).rowcount:
        tx.run(table.insert(), {"host": host, "generation": 0, **values})


def spend(tx: Tx, host: str, token_sha256: str, request_sha256: str, now: float) -> int | None:
    """Use a token up; returns the new generation, or None when the token is no good.

    For the same request once more: its answer may have been lost. The token's life is reckoned by
    the clocks of control processes, of which a few seconds of difference do no harm.
    """
    good = sa.and_(
        table.c.host == host, table.c.token_sha256 == token_sha256, table.c.token_until > now
    )
    tx.run(
        table.update()
        .where(good, table.c.request_sha256.is_(None))
        .values(request_sha256=request_sha256, generation=table.c.generation + 1, updated_at=now)
    )
    # Whoever's update came first, its request is the one that is written down.
    found = tx.run(
        sa.select(table.c.generation).where(good, table.c.request_sha256 == request_sha256)
    ).scalar()
    return None if found is None else int(found)


def revoke(tx: Tx, host: str, at: float) -> bool:
    """No certificate and no token of the host counts any more; False when it has no enrolment."""
    changed = tx.run(
        table.update()
        .where(table.c.host == host)
        .values(
            generation=table.c.generation + 1,
            token_sha256=None,
            token_until=None,
            request_sha256=None,
            updated_at=at,
        )
    )
    return bool(changed.rowcount)


def generation(connection: Connection, host: str) -> int | None:
    """What counts for one host."""
    found = connection.execute(sa.select(table.c.generation).where(table.c.host == host)).scalar()
    return None if found is None else int(found)


def generations(connection: Connection) -> dict[str, int]:
    """What counts for each host."""
    rows = connection.execute(sa.select(table.c.host, table.c.generation))
    return {host: int(number) for host, number in map(tuple, rows)}
