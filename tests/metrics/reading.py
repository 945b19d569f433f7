"""What a process tells Prometheus, read back by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from dolium.metrics.registry import Registry


def samples(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Values by name and labels."""
    body, _ = registry.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(registry: Registry, name: str, **labels: str) -> float | None:
    """One of them; None when it is not told."""
    return samples(registry).get((name, tuple(sorted(labels.items()))))
