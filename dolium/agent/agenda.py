"""Which containers want a pass, and when. One container is never worked on twice at a time."""

from __future__ import annotations

import heapq
import threading

from dolium.model.clock import Clock


class Agenda:
    """Due times by container. Safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._count = 0  # keeps the order of arrival among equal times
        self._busy: set[str] = set()
        self._moved = threading.Condition()
        self._closed = False

    def add(self, uuid: str, delay: float = 0.0) -> None:
        """Ask for a pass; the earliest time asked for counts."""
        at = self._clock.monotonic() + delay
        with self._moved:
            if uuid in self._due and self._due[uuid] <= at:
                return
            self._due[uuid] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, uuid))
            if uuid not in self._busy:
                self._moved.notify()

    def take(self, wait_s: float = 0.0) -> str | None:
        """The next container that is due, marked as being worked on; None after wait_s."""
        until = self._clock.monotonic() + wait_s
        with self._moved:
            while not self._closed:
                uuid, at = self._next()
                if uuid is not None:
                    return uuid
                now = self._clock.monotonic()
                if now >= until:
                    return None
                self._moved.wait(max(0.0, min(until, at) - now) or 0.001)
            return None

    def seize(self, uuid: str) -> bool:
        """Keep passes away from the container until `done`; False while one is under way."""
        with self._moved:
            if uuid in self._busy:
                return False
            self._busy.add(uuid)
            return True

    def busy(self, uuid: str) -> bool:
        """Whether a pass over the container is under way."""
        with self._moved:
            return uuid in self._busy

    def done(self, uuid: str) -> None:
        """The pass over a taken container ended."""
        with self._moved:
            self._busy.discard(uuid)
            if uuid in self._due:
                self._count += 1
                heapq.heappush(self._heap, (self._due[uuid], self._count, uuid))
                self._moved.notify()

    def next_at(self) -> float | None:
        """When the next one is due, on the monotonic clock; None when nothing waits."""
        with self._moved:
            return min(self._due.values(), default=None)

    def close(self) -> None:
        """Whoever waits gets None."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def _next(self) -> tuple[str | None, float]:
        now = self._clock.monotonic()
        while self._heap:
            at, _, uuid = self._heap[0]
            if self._due.get(uuid) != at or uuid in self._busy:
                heapq.heappop(self._heap)  # outdated; a busy one is put back by done()
                continue
            if at > now:
                return None, at
            heapq.heappop(self._heap)
            del self._due[uuid]
            self._busy.add(uuid)
            return uuid, at
        return None, float("inf")
