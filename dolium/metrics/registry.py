"""The figures and the health of one process, gathered when somebody asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec

from dolium import __version__, errors
from dolium.model.clock import Clock, SystemClock
from dolium.model.metric import INFO, METRICS, UNREAD, Meter, Metric, Source, Value

LOG = logging.getLogger(__name__)

Reading = Callable[[], Iterable[Value]]
"""Reads gauges; may raise an error of ours when what it reads does not answer."""

Check = Callable[[], str | None]
"""Looks at one part: None, or one sentence about what is wrong. May raise an error of ours."""

OK = "ok"

FRESH_S = 1.0
"""Health is looked at once in this time, however many ask."""
PATIENCE_S = 10.0
"""A part that takes longer to answer is not well."""


class Registry:
    """What one process tells. Safe to use from many threads.

    Args:
        meter: counts what happens in this process.
        sources: the parts it has; each metric of theirs is shown.
    """

    def __init__(self, meter: Meter, sources: Sequence[Source], clock: Clock | None = None) -> None:
        self.meter = meter
        self._clock = clock or SystemClock()
        self._looking = threading.Lock()
        self._looked: float | None = None
        self._found: dict[str, str] = {}
        self._under_way = ("", 0.0)
        """The part that is being looked at, and since when."""
        self._sources = frozenset((*sources, Source.PROCESS))
        self._readings: list[Reading] = []
        self._checks: dict[str, Check] = {}

    def read(self, reading: Reading) -> None:
        """At start: gauges that are read whenever somebody asks."""
        self._readings.append(reading)

    def check(self, name: str, check: Check) -> None:
        """At start: one more part that has to be well."""
        self._checks[name] = check
        self._found[name] = "Not looked at yet"

    def metrics(self) -> list[Metric]:
        """Those that this process shows."""
        return [metric for metric in METRICS if metric.source in self._sources]

    def gauges(self) -> list[Value]:
        """What is so now. A reading that fails leaves its gauges out and is counted."""
        found, failed = [Value(INFO, 1.0, (__version__,))], 0
        for reading in self._readings:
            try:
                found += reading()
            except errors.Error as error:
                LOG.warning("metrics could not be read: %s", error)
                failed += 1
        return [*found, Value(UNREAD, failed)]

    def text(self) -> tuple[bytes, str]:
        """For Prometheus: the body and its media type."""
        from dolium.metrics import exposition  # 1.5 MiB that nobody pays who is not asked

        return exposition.text(self), exposition.MEDIA

    def look(self) -> dict[str, str]:
        """Each part with `ok` or a sentence about what is wrong.

        Nobody waits for somebody else's look: one engine that hangs must not hold all who ask.
        """
        if not self._looking.acquire(blocking=False):
            return self._last_known()
        try:
            now = self._clock.monotonic()
            if self._looked is None or now - self._looked >= FRESH_S:
                for name, check in self._checks.items():
                    self._under_way = name, self._clock.monotonic()
                    self._found = self._found | {name: _looked(name, check)}
                self._looked = self._clock.monotonic()
            return self._found
        finally:
            self._looking.release()

    def _last_known(self) -> dict[str, str]:
        name, since = self._under_way
        if self._clock.monotonic() - since < PATIENCE_S:
            return self._found
        return self._found | {name: f"It does not answer within {PATIENCE_S:.0f} s"}

    def health(self, *, told: bool = True) -> tuple[bool, bytes]:
        """Whether all is well, as JSON too; told False keeps reasons back, which name addresses."""
        parts = self.look()
        healthy = all(said == OK for said in parts.values())
        if not told:
            parts = {name: said if said == OK else "failing" for name, said in parts.items()}
        return healthy, msgspec.json.encode({"healthy": healthy, "parts": parts})


def _looked(name: str, check: Check) -> str:
    try:
        return check() or OK
    except errors.Error as error:
        return str(error)
    except Exception:
        LOG.exception("the health of %s could not be looked at: a bug", name)
        return "An internal error; the log has it"
