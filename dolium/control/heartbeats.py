"""Signs of life of hosts, collected and written down together.

What an agent says anyway (it pulls at least every few seconds) is its sign of life; there is no
message for that alone.
"""

from __future__ import annotations

import logging
import threading

from dolium import errors
from dolium.model.clock import Clock
from dolium.store import liveness
from dolium.store.store import Store

LOG = logging.getLogger(__name__)

SPACE_S = 1.0
"""Least time between two statements of one process."""


class Heartbeats:
    """Hosts that were heard of since the last statement; safe to use from many threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._names: set[str] = set()
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        """Begin to write them down."""
        self._thread.start()

    def stop(self) -> None:
        """End; hosts that were just heard of will be heard of again."""
        self._stopping.set()
        with self._moved:
            self._moved.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def heard(self, name: str) -> None:
        """When a host's present boot says anything."""
        with self._moved:
            self._names.add(name)
            self._moved.notify_all()

    def flush(self) -> int:
        """Write down who was heard of; returns how many. Nobody costs nothing."""
        with self._moved:
            names, self._names = self._names, set()
        if not names:
            return 0
        now = self._clock.now()
        try:
            self._store.write(lambda tx: liveness.heard(tx, names, now))
        except errors.Error:
            with self._moved:
                self._names |= names
            raise
        return len(names)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._moved:
                self._moved.wait_for(lambda: self._names or self._stopping.is_set())
            try:
                self.flush()
            except errors.Shutdown:
                return
            except errors.Error as error:
                LOG.warning("signs of life could not be written down: %s", error)
            self._stopping.wait(SPACE_S)
