"""Sandboxes that run before a capsule wants one.

A sandbox that runs already has only to be put on its network. The containers of its capsule are
made meanwhile, and it runs in less time than one container by itself, where it took a third more
(docs/reference/benchmarks.md, `start-capsule`).

Nobody's name is on them until they are handed over, and nothing is written down about them: what
is in the engine and not known here, because an earlier run of the agent made it or the engine was
killed over it, is removed.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from math import inf

from dolium import errors
from dolium.drivers.engine.base import Engine
from dolium.model.clock import Clock
from dolium.model.wish import Wish

KEEP_S = 600.0
"""How long a host that makes no capsules keeps them."""
QUIET_S = 1.0
"""How long nobody may have wanted one before another is made: what starts now goes first."""


def fits(wish: Wish) -> bool:
    """Whether one will do for a capsule's sandbox. It has the engine's usual runtime; and which of
    several networks comes first would be the engine's to choose when it is started anew.
    """
    return wish.spec.runtime is None and len(wish.ports) == 1


def remove(engine: Engine, deployment: str, but: Sequence[str] = ()) -> None:
    """Remove all that are nobody's, but some. Raises what the engine does."""
    for handle in engine.prepared(deployment):
        if handle not in but:
            with suppress(errors.Absent):
                engine.stop(handle, 0)
                engine.remove(handle)


class Ready:
    """Those of one host. Safe to use from many threads; one of them calls `wait` and `step`."""

    def __init__(self, engine: Engine, clock: Clock, count: int) -> None:
        """count: as many are kept; 0: there never are any."""
        self._engine = engine
        self._clock = clock
        self._count = count
        self._handles: list[str] = []
        self._wanted_at = -inf
        self._swept = False
        self._closed = False
        self._moved = threading.Condition()
        self._handing = threading.Lock()
        """Held while one gets its name: until then the engine shows it as nobody's."""

    def hand_over(self, name: str) -> str | None:
        """When a sandbox is to be made: give one this engine name; its handle, or None."""
        with self._moved:
            self._wanted_at = self._clock.monotonic()
            self._moved.notify_all()
        with self._handing:
            while self._handles:
                handle = self._handles.pop()
                try:
                    self._engine.hand_over(handle, name)
                except (errors.Absent, errors.Refused):
                    continue  # somebody has removed it, or has that name
                return handle
        return None

    def wait(self, seconds: float) -> None:
        """Return when there is something to do, or after so long."""
        with self._moved:
            self._moved.wait_for(lambda: self._closed or self._due() < inf, seconds)
            self._moved.wait_for(lambda: self._closed, min(max(self._due(), 0.0), seconds))

    def step(self, deployment: str) -> None:
        """Do what is due now, one thing at a time. Raises what the engine does."""
        if not self._swept:
            self.clear(deployment)
        if self._closed or self._due() > 0:
            return
        if not self._wanted():
            self.clear(deployment)
            return
        self._sweep(deployment)
        handle = self._engine.prepare(f"dolium-ready-{uuid.uuid4().hex}", deployment)
        with self._handing:
            self._handles.append(handle)

    def clear(self, deployment: str) -> None:
        """Remove all that are nobody's."""
        with self._handing:
            self._handles.clear()
        self._sweep(deployment)
        self._swept = True

    def close(self) -> None:
        """Make no more."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def _wanted(self) -> bool:
        return self._clock.monotonic() - self._wanted_at < KEEP_S

    def _due(self) -> float:
        """Seconds until something is to be done; infinite: nothing is."""
        age = self._clock.monotonic() - self._wanted_at
        if self._wanted() and len(self._handles) < self._count:
            return QUIET_S - age
        return KEEP_S - age if self._handles else inf

    def _sweep(self, deployment: str) -> None:
        with self._handing:
            remove(self._engine, deployment, but=self._handles)
