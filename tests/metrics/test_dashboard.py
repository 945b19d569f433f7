"""The dashboard asks for what is there: every metric it names exists, with these labels."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dolium.metrics.registry import Registry
from dolium.model.metric import METRICS, Kind, Meter, Source, Value

DASHBOARD = Path(__file__).parents[2] / "dashboards/dolium.json"
SCRAPED = {"instance", "job"}
"""Labels that Prometheus itself adds."""
METRIC = re.compile(r"\b((?:dolium|process)_\w+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\b(?:by|on|group_left) \(([^)]*)\)")


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def asked() -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend of everything that is asked for."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def told() -> dict[str, set[str]]:
    """The labels of each sample that processes tell, when everything has happened once."""
    registry = Registry(Meter(), tuple(Source))
    gauges = [metric for metric in METRICS if metric.kind is Kind.GAUGE]
    registry.read(lambda: [Value(metric, 1.0, metric.labels) for metric in gauges])
    for metric in METRICS:
        if metric.kind is Kind.COUNTER:
            registry.meter.count(metric, *metric.labels)
        elif metric.kind is Kind.SECONDS:
            registry.meter.took(metric, 1.0, *metric.labels)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(registry.text()[0].decode()):
        assert family.documentation, f"{family.name} has no help"
        for sample in family.samples:
            found[sample.name] |= sample.labels.keys()
    return dict(found)


@pytest.mark.parametrize(("title", "expression", "legend"), list(asked()))
def test_what_it_asks_for_is_told(title: str, expression: str, legend: str) -> None:
    known = told()
    named = METRIC.findall(expression)
    assert named, f"{title} asks for nothing of ours"
    labels = set(SCRAPED)
    for name, matchers in named:
        assert name in known, f"{title}: nobody tells {name}"
        own = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert own <= known[name], f"{title}: {name} has no {own - known[name]}"
        labels |= known[name]
    grouped = {label.strip() for part in GROUPED.findall(expression) for label in part.split(",")}
    shown = set(re.findall(r"{{(\w+)}}", legend))
    assert grouped | shown <= labels, f"{title}: no {(grouped | shown) - labels}"
    sums = re.search(r"\bby \(", expression)
    assert not sums or shown <= grouped, f"{title}: {shown - grouped} is summed away"


def test_rates_are_of_what_only_grows() -> None:
    gauges = {metric.name for metric in METRICS if metric.kind is Kind.GAUGE}
    for title, expression, _ in asked():
        assert not gauges & set(re.findall(r"rate\((\w+)", expression)), title


def test_an_operator_sees_every_part() -> None:
    text = " ".join(expression for _, expression, _ in asked())
    missing = [metric.name for metric in METRICS if metric.name not in text]
    assert missing == []


def test_panels_do_not_overlap() -> None:
    taken = set[tuple[int, int]]()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)
