"""Notices what another process wrote down and whose hint got lost: looks, and hints itself.

Hints between processes are quick and may be lost; this look is slow and misses nothing.
"""

from __future__ import annotations

from dolium.store import hosts
from dolium.store.store import Store

LOOK_S = 1.0


class Lookout:
    """Compares the revisions of all hosts with those of the last look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, int] = {}

    def turn(self) -> None:
        """Give a hint for each host whose revision has moved."""
        with self._store.glance() as connection:
            found = hosts.every_revision(connection)
        moved = [name for name, revision in found.items() if self._seen.get(name) != revision]
        self._seen = found
        for name in moved:
            self._store.hints.wake(f"host:{name}")
