"""A terminal that is closed ends Dolium, unless it was started so as to outlive it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from dolium.cli import ending


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Handlers belong to the process, which goes on with other tests."""
    before = {number: signal.getsignal(number) for number in ending.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ending.SIGNALS)
def test_each_of_them_ends(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    told = ending.told()
    assert not told.is_set()
    signal.raise_signal(number)
    assert told.is_set()


def test_who_is_started_by_nohup_outlives_the_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told = ending.told()
    signal.raise_signal(signal.SIGHUP)
    assert not told.is_set()
    signal.raise_signal(signal.SIGTERM)
    assert told.is_set()
