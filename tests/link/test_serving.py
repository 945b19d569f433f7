"""A server that takes on much may open much."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from dolium.link import serving


@pytest.fixture
def low() -> Iterator[int]:
    """A limit as most systems set it; gives back what was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this process may not open more files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def now() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_small_server_changes_no_limit(low: int) -> None:
    serving.allow_files(128)
    assert now() == 1024


def test_a_large_one_raises_it(low: int) -> None:
    serving.allow_files(2000)
    assert now() == 2000 + serving.SPARE_FILES


def test_nobody_gets_more_than_the_hard_limit(low: int, caplog: pytest.LogCaptureFixture) -> None:
    if low == resource.RLIM_INFINITY:
        pytest.skip("there is none")
    serving.allow_files(low)
    assert now() == low and "LimitNOFILE" in caplog.text
