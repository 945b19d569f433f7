"""Notices what another process wrote down and whose hint got lost: looks, and hints itself.

Hints between processes are quick and may be lost; this look is slow and misses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dolium.store import hosts
from dolium.store.store import Store

LOOK_S = 1.0


class Lookout:
    """Compares the revisions of hosts with those that their polls wait at."""

    def __init__(self, store: Store, waiting: Callable[[], Sequence[tuple[str, int]]]) -> None:
        """waiting: the polls that wait in this process (Hosts.waiting)."""
        self._store = store
        self._waiting = waiting

    def turn(self) -> None:
        """Give a hint for each host that waits though there is news for it."""
        waiting = self._waiting()
        if not waiting:
            return
        with self._store.glance() as connection:
            found = hosts.every_revision(connection)
        for name in {name for name, since in waiting if found.get(name) != since}:
            self._store.hints.wake(f"host:{name}")
