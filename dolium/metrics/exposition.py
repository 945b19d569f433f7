"""A registry in Prometheus' text format, by Prometheus' own library.

The library only writes the text, when somebody asks: counting with it would cost each request
and each idle process more than our own meter does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dolium.model.metric import BOUNDS, Kind, Meter, Metric, Spread, Value

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

    from dolium.metrics.registry import Registry

MEDIA = CONTENT_TYPE_PLAIN_0_0_4


def text(registry: Registry) -> bytes:
    """All that the process tells now."""
    told = CollectorRegistry(auto_describe=False)
    told.register(_Told(registry))
    ProcessCollector(registry=told)  # memory, CPU and open files, under everybody's names
    return generate_latest(told)


class _Told(Collector):
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Family]:
        gauges = self._registry.gauges()
        for metric in self._registry.metrics():
            if metric.kind is Kind.GAUGE:
                yield _gauge(metric, [value for value in gauges if value.metric is metric])
            elif metric.kind is Kind.COUNTER:
                yield _counter(metric, self._registry.meter)
            else:
                yield _seconds(metric, self._registry.meter)


def _gauge(metric: Metric, values: list[Value]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.about, labels=metric.labels)
    for value in values:
        family.add_metric(value.labels, value.value)
    return family


def _counter(metric: Metric, meter: Meter) -> Family:
    family = CounterMetricFamily(metric.name, metric.about, labels=metric.labels)
    # What has not happened yet is 0, so that its first time is seen as a change.
    found = meter.counts(metric) or ({} if metric.labels else {(): 0.0})
    for labels, value in sorted(found.items()):
        family.add_metric(labels, value)
    return family


def _seconds(metric: Metric, meter: Meter) -> Family:
    family = HistogramMetricFamily(metric.name, metric.about, labels=metric.labels)
    nothing = {} if metric.labels else {(): Spread([0] * (len(BOUNDS) + 1))}
    for labels, spread in sorted((meter.spreads(metric) or nothing).items()):
        family.add_metric(labels, _buckets(spread), spread.total)
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Each class with all shorter ones, as Prometheus counts."""
    names, sofar, found = [*map(str, BOUNDS), "+Inf"], 0, []
    for name, count in zip(names, spread.counts, strict=True):
        sofar += count
        found.append((name, float(sofar)))
    return found
