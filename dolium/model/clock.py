"""Time as something that is handed in, so that everything that decides can be simulated."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What deciding code may know about time. Clocks of two machines are never compared."""

    def now(self) -> float:
        """Seconds since the epoch, for people to read."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start, for deadlines and leases."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment before this process."""
        return time.monotonic()


def spaced(seconds: float) -> str:
    """`2026-11-20 23:31:59.257824`, the form of containers' times (container API reference)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def iso(seconds: float) -> str:
    """`2026-11-20T23:22:58.621325`, the form of actions' and services' times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
