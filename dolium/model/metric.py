"""What is counted and measured: one table of all metrics, and the meter that holds the values.

Labels have few values, all known to the code: never ids, nor names that users choose.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
"""Upper bounds in seconds of the classes that durations are sorted into."""


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    """Only grows, from the start of the process."""
    GAUGE = "gauge"
    """What is so now."""
    SECONDS = "histogram"
    """How often, and for how long."""


class Source(StrEnum):
    """The part of a process that a metric is about; a process has some of them."""

    API = "api"
    CONDUCTOR = "conductor"
    AGENT = "agent"
    WSPROXY = "wsproxy"
    STORE = "store"
    LINK = "link"
    PROCESS = "process"


class Metric(Struct, frozen=True, eq=False):
    """One row of the table."""

    name: str
    kind: Kind
    source: Source
    about: str
    labels: tuple[str, ...] = ()


# --- the API ---------------------------------------------------------------------------------
REQUESTS = Metric(
    "dolium_api_request_seconds",
    Kind.SECONDS,
    Source.API,
    "Requests answered; those refused before their route was known have route none.",
    ("method", "route", "status"),
)

# --- the conductor ---------------------------------------------------------------------------
PLACED = Metric(
    "dolium_placed_total", Kind.COUNTER, Source.CONDUCTOR, "Containers that got a host."
)
UNPLACED = Metric(
    "dolium_unplaced_total",
    Kind.COUNTER,
    Source.CONDUCTOR,
    "Containers that no host was found for.",
)
PLACING = Metric(
    "dolium_placing_seconds",
    Kind.SECONDS,
    Source.CONDUCTOR,
    "Passes of the placer, each over all containers that waited.",
)
WAITING = Metric(
    "dolium_waiting_containers",
    Kind.GAUGE,
    Source.CONDUCTOR,
    "Containers that wait for a host, in the whole cloud.",
)
OLDEST_WAITING = Metric(
    "dolium_oldest_waiting_seconds",
    Kind.GAUGE,
    Source.CONDUCTOR,
    "How long the oldest of them has waited, by the clocks of its API process and of this one; "
    "0: none waits.",
)
HOSTS = Metric(
    "dolium_hosts", Kind.GAUGE, Source.CONDUCTOR, "Hosts of the cloud by state.", ("state",)
)
HEALED = Metric(
    "dolium_healed_total",
    Kind.COUNTER,
    Source.CONDUCTOR,
    "Containers taken from lost hosts, to be made anew elsewhere or buried.",
)
OPEN_ACTIONS = Metric(
    "dolium_open_actions",
    Kind.GAUGE,
    Source.CONDUCTOR,
    "Actions that have not ended, in the whole cloud.",
)
OLDEST_ACTION = Metric(
    "dolium_oldest_open_action_seconds",
    Kind.GAUGE,
    Source.CONDUCTOR,
    "How long ago the oldest of them was asked for, by the same clocks; 0: none is open.",
)

# --- agents ----------------------------------------------------------------------------------
PASSES = Metric(
    "dolium_agent_passes_total",
    Kind.COUNTER,
    Source.AGENT,
    "Passes over containers by outcome: done, again (something has to be waited for), bug, "
    "stopped.",
    ("outcome",),
)
ENGINE = Metric(
    "dolium_engine_call_seconds",
    Kind.SECONDS,
    Source.AGENT,
    "Calls to the engine, failed ones too.",
    ("call",),
)
ENGINE_ERRORS = Metric(
    "dolium_engine_errors_total",
    Kind.COUNTER,
    Source.AGENT,
    "Calls to the engine that failed, by the code of the error.",
    ("call", "code"),
)
FACTS_WAITING = Metric(
    "dolium_agent_facts_waiting",
    Kind.GAUGE,
    Source.AGENT,
    "Facts that the control side has not acknowledged.",
)
LEASE_AGE = Metric(
    "dolium_agent_lease_age_seconds",
    Kind.GAUGE,
    Source.AGENT,
    "How long ago the control side was last asked and answered; the 10 s of a poll are usual.",
)

# --- the websocket proxy ---------------------------------------------------------------------
CONSOLES = Metric("dolium_consoles", Kind.GAUGE, Source.WSPROXY, "Consoles that are open.")
CONSOLES_ASKED = Metric(
    "dolium_consoles_total",
    Kind.COUNTER,
    Source.WSPROXY,
    "Clients that came to a console, by result: opened, refused, failed.",
    ("result",),
)

# --- the database ----------------------------------------------------------------------------
COMMITS = Metric(
    "dolium_store_commit_seconds",
    Kind.SECONDS,
    Source.STORE,
    "Transactions written, from their begin until they were durable.",
)
JOBS = Metric(
    "dolium_store_jobs_total",
    Kind.COUNTER,
    Source.STORE,
    "Pieces of work written; several may share a commit.",
)
RETRIES = Metric(
    "dolium_store_retries_total",
    Kind.COUNTER,
    Source.STORE,
    "Transactions begun anew, by reason: conflict (deadlock, certification, a lock that took too "
    "long), lost (the connection).",
    ("kind",),
)

# --- the link --------------------------------------------------------------------------------
HANDSHAKES = Metric(
    "dolium_tls_handshakes_total",
    Kind.COUNTER,
    Source.LINK,
    "TLS handshakes by server (api, link, questions, metrics) and result: ok, failed.",
    ("server", "result"),
)
CALLS = Metric(
    "dolium_link_call_seconds",
    Kind.SECONDS,
    Source.LINK,
    "Calls answered, a poll with the time it waited.",
    ("call", "result"),
)
HINTS = Metric(
    "dolium_link_hints_total",
    Kind.COUNTER,
    Source.LINK,
    "Hints between control processes: sent, dropped, received.",
    ("what",),
)
POLLS = Metric(
    "dolium_link_polls_waiting", Kind.GAUGE, Source.LINK, "Agents' long polls that wait for news."
)

# --- every process ---------------------------------------------------------------------------
INFO = Metric(
    "dolium_info", Kind.GAUGE, Source.PROCESS, "Always 1; says which version runs.", ("version",)
)
UNREAD = Metric(
    "dolium_metrics_unread",
    Kind.GAUGE,
    Source.PROCESS,
    "Groups of metrics missing from this answer, because what they are read from does not answer.",
)

METRICS = tuple(found for found in [*globals().values()] if isinstance(found, Metric))
"""All of them, in the order above."""


class Value(NamedTuple):
    """What a gauge shows, or a counter has come to."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Spread(Struct):
    """Durations: how many in each class of BOUNDS, and their sum."""

    counts: list[int]
    total: float = 0.0


class Meter:
    """The counters of one process. Safe to use from many threads; one count takes 0.3 us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[Metric, dict[tuple[str, ...], float]] = defaultdict(dict)
        self._spreads: defaultdict[Metric, dict[tuple[str, ...], Spread]] = defaultdict(dict)

    def count(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        """It happened (`by` times)."""
        with self._lock:
            values = self._counts[metric]
            values[labels] = values.get(labels, 0.0) + by

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """It happened, and took so long."""
        with self._lock:
            spreads = self._spreads[metric]
            spread = spreads.get(labels)
            if spread is None:
                spread = spreads[labels] = Spread([0] * (len(BOUNDS) + 1))
            spread.counts[bisect_left(BOUNDS, seconds)] += 1
            spread.total += seconds

    def counts(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """A counter's values by labels."""
        with self._lock:
            return dict(self._counts.get(metric, {}))

    def spreads(self, metric: Metric) -> dict[tuple[str, ...], Spread]:
        """Durations by labels."""
        with self._lock:
            found = self._spreads.get(metric, {})
            return {labels: Spread(list(s.counts), s.total) for labels, s in found.items()}
