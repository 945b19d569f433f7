"""What the database says about the whole cloud, for who watches it."""

from __future__ import annotations

from collections.abc import Iterator

from dolium.model.clock import Clock
from dolium.model.metric import (
    HOSTS,
    OLDEST_ACTION,
    OLDEST_WAITING,
    OPEN_ACTIONS,
    WAITING,
    Value,
)
from dolium.store import overview
from dolium.store.store import Store


class Figures:
    """Gauges of the cloud: the same from every conductor. One look takes a few statements."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._first = 0
        """No action before this one is open."""

    def read(self) -> Iterator[Value]:
        """When somebody asks; raises Unanswered when the database does not answer."""
        with self._store.read() as connection:
            waiting, since = overview.waiting(connection)
            actions = overview.unfinished(connection, self._first)
            hosts = overview.standings(connection)
        self._first = actions.first
        yield Value(WAITING, waiting)
        yield Value(OLDEST_WAITING, self._age(since))
        yield Value(OPEN_ACTIONS, actions.number)
        yield Value(OLDEST_ACTION, self._age(actions.oldest))
        for state, number in hosts.items():
            yield Value(HOSTS, number, (state.value,))

    def _age(self, since: float | None) -> float:
        # For people only: the time was written by another machine's clock, perhaps.
        return 0.0 if since is None else max(0.0, self._clock.now() - since)


def database(store: Store) -> None:
    """A check: raises Unanswered when the database does not answer."""
    with store.glance() as connection:
        overview.answers(connection)
