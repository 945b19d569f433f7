"""A Dolium for each module, and what it said when a test of it fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.live import place
from tests.live.installation import Installation, Owned
from tests.live.place import Place

INSTALLATION = pytest.StashKey[Installation]()


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Namespaces of this module's own; its `STATE_MIB` is the size of the state directory."""
    if why := place.missing():
        pytest.skip(f"a whole installation: {why}")
    with Place(getattr(request.module, "STATE_MIB", None)) as made:
        yield made


@pytest.fixture(scope="module")
def installation(machine: Place, request: pytest.FixtureRequest) -> Installation:
    """A Dolium that answers; `OPTIONS` of the module is what its configuration adds."""
    made = Installation(machine, options=getattr(request.module, "OPTIONS", None))
    request.node.stash[INSTALLATION] = made
    return made.up()


@pytest.fixture
def owned(installation: Installation) -> Iterator[Owned]:
    """Containers of user demo."""
    with installation.client() as client:
        yield Owned(client)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    parent = item.getparent(pytest.Module)
    made = parent.stash.get(INSTALLATION, None) if parent is not None else None
    if report.failed and made is not None:
        report.sections.append(("what Dolium said", made.tail()))
    return report
