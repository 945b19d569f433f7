"""What holds for every test: live ones are skipped, visibly, where they can't run."""

import os

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine, not of Dolium.
settings.register_profile("dolium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dolium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wire networks and start daemons need root."""
    if os.geteuid() == 0:
        return
    needs_root = pytest.mark.skip(reason="starts daemons in namespaces: needs root")
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(needs_root)
