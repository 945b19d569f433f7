"""What pyproject.toml registers exists: scripts and drivers."""

import importlib
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
POINTS = [
    *PROJECT["scripts"].values(),
    *(point for group in PROJECT.get("entry-points", {}).values() for point in group.values()),
]


@pytest.mark.parametrize("point", POINTS)
def test_entry_point_can_be_called(point: str) -> None:
    module, _, name = point.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
