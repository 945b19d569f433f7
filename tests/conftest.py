"""What holds for every test: live ones are skipped, visibly, where they can't run."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wire networks and start daemons need root."""
    if os.geteuid() == 0:
        return
    needs_root = pytest.mark.skip(reason="starts daemons in namespaces: needs root")
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(needs_root)
