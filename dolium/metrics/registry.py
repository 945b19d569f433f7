"""The figures and the health of one process, gathered when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from dolium import __version__, errors
from dolium.model.metric import INFO, METRICS, UNREAD, Meter, Metric, Source, Value

LOG = logging.getLogger(__name__)

Reading = Callable[[], Iterable[Value]]
"""Reads gauges; may raise an error of ours when what it reads does not answer."""

Check = Callable[[], str | None]
"""Looks at one part: None, or one sentence about what is wrong. May raise an error of ours."""

OK = "ok"


class Registry:
    """What one process tells. Safe to use from many threads.

    Args:
        meter: counts what happens in this process.
        sources: the parts it has; each metric of theirs is shown.
    """

    def __init__(self, meter: Meter, sources: Sequence[Source]) -> None:
        self.meter = meter
        self._sources = frozenset((*sources, Source.PROCESS))
        self._readings: list[Reading] = []
        self._checks: dict[str, Check] = {}

    def read(self, reading: Reading) -> None:
        """At start: gauges that are read whenever somebody asks."""
        self._readings.append(reading)

    def check(self, name: str, check: Check) -> None:
        """At start: one more part that has to be well."""
        self._checks[name] = check

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
        """Each part with `ok` or a sentence about what is wrong."""
        return {name: _looked(name, check) for name, check in self._checks.items()}

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
