"""Drivers: each kind is a folder with its interface in `base.py`, one file per driver, a fake.

A driver is a class that knows one outside thing. It gets its options handed in, never sees the
database or the configuration, and raises only `errors.DriverError` and its kin.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from dolium import errors


def load(kind: str, name: str) -> type[Any]:
    """The driver class registered as `name` in the entry-point group `dolium.<kind>`."""
    for point in entry_points(group=f"dolium.{kind}", name=name):
        found: type[Any] = point.load()
        return found
    raise errors.StartError(why=f"There is no {kind} driver named '{name}'")


def names(kind: str) -> list[str]:
    """All registered drivers of a kind."""
    return sorted({point.name for point in entry_points(group=f"dolium.{kind}")})
