"""A control process that is stopped after the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.link.ends import Control


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    made = Control(tmp_path)
    yield made
    made.stop()
