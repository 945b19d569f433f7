"""Wake-up calls between threads: never needed for being right, only for being quick.

A thousand hosts wait for a thousand topics: each topic has waiters of its own, so that a call
wakes nobody whom it does not concern.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable


class Hints:
    """Topics that count; who waits gives the count it has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, _Waiters] = {}
        self.forward: Callable[[str], None] | None = None
        """Who else is to be told, where there are other control processes; must not wait."""

    def give(self, topic: str) -> None:
        """Something about the topic changed (called after the commit)."""
        self.wake(topic)
        if self.forward is not None:
            self.forward(topic)

    def wake(self, topic: str) -> None:
        """The same for this process only: another one gave the hint."""
        with self._lock:
            self._counts[topic] += 1
            waiters = self._waiting.get(topic)
            if waiters:  # most topics interest nobody just then
                waiters.moved.notify_all()

    def count(self, topic: str) -> int:
        """The present count: read it before looking, so that nothing falls in between."""
        with self._lock:
            return self._counts[topic]

    def wait(self, topic: str, seen: int, timeout_s: float) -> int:
        """Until the count differs from `seen` or the time is up; returns the count."""
        with self._lock:
            if self._counts[topic] != seen:
                return self._counts[topic]
            waiters = self._waiting.get(topic)
            if waiters is None:
                waiters = self._waiting[topic] = _Waiters(self._lock)
            waiters.number += 1
            waiters.moved.wait_for(lambda: self._counts[topic] != seen, timeout_s)
            waiters.number -= 1
            if not waiters.number:
                del self._waiting[topic]
            return self._counts[topic]


class _Waiters:
    """Those who wait for one topic."""

    def __init__(self, lock: threading.Lock) -> None:
        self.moved = threading.Condition(lock)
        self.number = 0
