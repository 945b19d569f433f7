"""Wake-up calls between threads: never needed for being right, only for being quick."""

from __future__ import annotations

import threading
from collections import Counter


class Hints:
    """Topics that count; who waits gives the count it has seen."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._moved = threading.Condition()

    def give(self, topic: str) -> None:
        """Something about the topic changed (called after the commit)."""
        with self._moved:
            self._counts[topic] += 1
            if self._waiting[topic]:  # most topics interest nobody just then
                self._moved.notify_all()

    def count(self, topic: str) -> int:
        """The present count: read it before looking, so that nothing falls in between."""
        with self._moved:
            return self._counts[topic]

    def wait(self, topic: str, seen: int, timeout_s: float) -> int:
        """Until the count differs from `seen` or the time is up; returns the count."""
        with self._moved:
            self._waiting[topic] += 1
            self._moved.wait_for(lambda: self._counts[topic] != seen, timeout_s)
            self._waiting[topic] -= 1
            return self._counts[topic]
