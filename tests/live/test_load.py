"""A hundred tenants at work at once, for five minutes."""

import pytest

from tests.live import place
from tests.perf import load

pytestmark = pytest.mark.live


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(bool(place.missing()), reason=f"a whole installation: {place.missing()}")
def test_nobody_is_refused_kept_waiting_or_left_over() -> None:
    found = load.play(minutes=5)
    assert found.wrong == []
    assert len(found.took["run"]) > load.TENANTS
    assert found.grown <= 1.1
    assert found.slower <= 5
