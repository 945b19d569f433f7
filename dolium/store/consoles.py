"""Rows of consoles: tokens that let somebody come to one, of which only a digest is kept."""

from __future__ import annotations

from dolium.store.schema import consoles as table
from dolium.store.store import Tx


def offer(tx: Tx, token_sha256: str, container_uuid: str, exec_id: str, until: float) -> None:
    """Somebody may come; exec_id is empty for the container's main process."""
    tx.run(
        table.insert(),
        {
            "token_sha256": token_sha256,
            "container_uuid": container_uuid,
            "exec_id": exec_id,
            "until": until,
        },
    )


def spend(tx: Tx, token_sha256: str, container_uuid: str, exec_id: str, now: float) -> bool:
    """Use a token up; False when it is no good for that. Of several who try, one gets it.

    Its life is reckoned by the clocks of control processes, as that of hosts' tokens is.
    """
    used = tx.run(
        table.delete().where(
            table.c.token_sha256 == token_sha256,
            table.c.container_uuid == container_uuid,
            table.c.exec_id == exec_id,
            table.c.until > now,
        )
    )
    return bool(used.rowcount)


def trim(tx: Tx, now: float) -> None:
    """Forget those that nobody came with in time."""
    tx.run(table.delete().where(table.c.until <= now))
