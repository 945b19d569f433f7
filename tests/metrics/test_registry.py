"""A registry tells what the meter counted and what the readings found, whatever fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolium import errors
from dolium.metrics.registry import FRESH_S, PATIENCE_S, Registry
from dolium.model.metric import (
    BOUNDS,
    FACTS_WAITING,
    HINTS,
    METRICS,
    PLACED,
    PLACING,
    WAITING,
    Kind,
    Meter,
    Metric,
    Source,
    Value,
)
from tests.control.world import TickingClock
from tests.metrics.reading import samples, value

ID_LABELS = {"uuid", "id", "project", "project_id", "user", "container", "host", "name", "image"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric: Metric) -> None:
    assert re.fullmatch("dolium_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is Kind.SECONDS:
        assert metric.name.endswith("_seconds")
    assert metric.about.endswith(".")
    assert not ID_LABELS & set(metric.labels), "labels that users fill have no bound"


def test_no_two_have_one_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_a_process_shows_its_own_parts_from_the_start() -> None:
    registry = Registry(Meter(), (Source.CONDUCTOR,))
    assert value(registry, "dolium_placed_total") == 0
    assert value(registry, "dolium_placing_seconds_count") == 0
    assert value(registry, "dolium_store_jobs_total") is None
    body = registry.text()[0].decode()
    for metric in registry.metrics():
        assert f"# HELP {metric.name} {metric.about}\n" in body
    assert "process_resident_memory_bytes" in body


def test_counts_are_told() -> None:
    meter = Meter()
    registry = Registry(meter, tuple(Source))
    meter.count(PLACED, by=3)
    meter.count(PLACED)
    meter.count(HINTS, "sent", by=2)
    assert value(registry, "dolium_placed_total") == 4
    assert value(registry, "dolium_link_hints_total", what="sent") == 2


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_durations_are_sorted_into_their_classes(seconds: list[float]) -> None:
    meter = Meter()
    registry = Registry(meter, (Source.CONDUCTOR,))
    for each in seconds:
        meter.took(PLACING, each)
    found = samples(registry)
    for bound in BOUNDS:
        key = ("dolium_placing_seconds_bucket", (("le", str(bound)),))
        assert found[key] == sum(each <= bound for each in seconds)
    assert found["dolium_placing_seconds_count", ()] == len(seconds)
    assert found["dolium_placing_seconds_sum", ()] == pytest.approx(sum(seconds))


def test_threads_lose_no_count() -> None:
    meter = Meter()

    def work() -> None:
        for _ in range(2000):
            meter.count(PLACED)
            meter.took(PLACING, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.counts(PLACED) == {(): 8000}
    assert sum(meter.spreads(PLACING)[()].counts) == 8000


def test_what_can_not_be_read_is_left_out_and_told() -> None:
    registry = Registry(Meter(), (Source.CONDUCTOR, Source.AGENT))

    def broken() -> Iterator[Value]:
        yield Value(WAITING, 1.0)
        raise errors.Unanswered(what="The database", why="gone")

    registry.read(broken)
    registry.read(lambda: [Value(FACTS_WAITING, 7.0)])
    assert value(registry, "dolium_agent_facts_waiting") == 7
    assert value(registry, "dolium_metrics_unread") == 1


def test_health_names_what_is_wrong() -> None:
    clock = TickingClock()
    registry = Registry(Meter(), (), clock)
    found: dict[str, str | None] = {"database": None, "agent": None}

    def database() -> str | None:
        if found["database"]:
            raise errors.Unanswered(what="The database", why=found["database"])
        return None

    registry.check("database", database)
    registry.check("agent", lambda: found["agent"])
    assert registry.health() == (True, b'{"healthy":true,"parts":{"database":"ok","agent":"ok"}}')
    found["database"], found["agent"] = "10.0.0.9 is gone", "It is not enrolled"
    clock.time += FRESH_S
    healthy, body = registry.health()
    assert not healthy
    assert b"10.0.0.9 is gone" in body and b'"agent":"It is not enrolled"' in body
    assert registry.health(told=False) == (
        False,
        b'{"healthy":false,"parts":{"database":"failing","agent":"failing"}}',
    )


def test_a_bug_in_a_check_is_no_health(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(Meter(), ())
    registry.check("agent", lambda: str(1 / 0))
    assert not registry.health()[0]
    assert "ZeroDivisionError" in caplog.text


def test_however_many_ask_it_is_looked_at_once() -> None:
    clock, looks = TickingClock(), list[int]()
    registry = Registry(Meter(), (), clock)
    registry.check("engine", lambda: looks.append(1))
    for _ in range(5):
        registry.health()
    assert len(looks) == 1
    clock.time += FRESH_S
    registry.health()
    assert len(looks) == 2


def test_a_part_that_hangs_holds_nobody_and_is_not_well() -> None:
    clock, hanging, asked = TickingClock(), threading.Event(), threading.Event()
    registry = Registry(Meter(), (), clock)

    def hang() -> None:
        asked.set()
        hanging.wait(60)

    registry.check("engine", hang)
    thread = threading.Thread(target=registry.look)
    thread.start()
    assert asked.wait(60)
    assert registry.look() == {"engine": "Not looked at yet"}
    clock.time += PATIENCE_S
    assert "10 s" in registry.look()["engine"]
    hanging.set()
    thread.join()
    assert registry.look() == {"engine": "ok"}
