"""One pull of a container's image: told while it goes on, noted when it is over."""

from __future__ import annotations

from collections.abc import Callable

from dolium.model.clock import Clock
from dolium.model.image import Progress
from dolium.model.wish import Step

EVENT = "compute__do_image_pull"
"""Its name among an action's events."""
EVERY_S = 1.0
"""Each time somebody is told is a write in the database."""


class Pulling:
    """Given to an engine, which calls it when a pull begins and whenever it is further."""

    def __init__(self, clock: Clock, tell: Callable[[Progress], None]) -> None:
        """tell: called at most once in EVERY_S, and only with news for people."""
        self._clock, self._tell = clock, tell
        self._began: float | None = None
        self._told = ""
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """It is so far."""
        now = self._clock.monotonic()
        if self._began is None:
            self._began, self._next = self._clock.now(), now
        if progress.text != self._told and now >= self._next:
            self._told, self._next = progress.text, now + EVERY_S
            self._tell(progress)

    def step(self, error: Exception | None = None) -> Step | None:
        """It is over; None when there was no pull, because the image was there."""
        if self._began is None:
            return None
        return Step(
            event=EVENT,
            ok=error is None,
            message=str(error) if error else None,
            started_at=self._began,
            finished_at=self._clock.now(),
        )
