"""A thousand bad days; `make soak` plays more, DOLIUM_SOAK_SEEDS says how many.

A schedule that fails prints itself; its seed belongs into regressions.txt, where it stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.simulation.chaos import CAPSULES
from tests.simulation.control import FragileStore
from tests.simulation.rules import FIRST, RARE, RULES, Patch
from tests.simulation.schedule import Failed, run

SEEDS = 1000
TOGETHER = 25
QUICK = 4
"""Tests that quick rounds (`-m "not slow"`) play, of TOGETHER schedules each."""
SOAK = int(os.environ.get("DOLIUM_SOAK_SEEDS", "20000"))
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("regressions.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]

MOST_TRIES = 1000


@pytest.fixture(scope="module")
def store() -> Iterator[FragileStore]:
    logging.disable(logging.CRITICAL)  # what goes wrong here is meant to
    made = FragileStore()
    yield made
    made.close()
    logging.disable(logging.NOTSET)


def play(first: int, store: FragileStore) -> None:
    for seed in range(first, first + TOGETHER):
        run(seed, store)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(number * TOGETHER, marks=() if number < QUICK else pytest.mark.slow)
        for number in range(SEEDS // TOGETHER)
    ],
)
def test_nothing_is_lost_and_nothing_is_left(first: int, store: FragileStore) -> None:
    play(first, store)


@pytest.mark.parametrize("bad", CAPSULES, ids=lambda bad: f"{len(bad)} things")
def test_nothing_of_a_capsule_is_lost_or_left(bad: dict[str, float], store: FragileStore) -> None:
    for seed in range(TOGETHER):
        run(seed, store, bad)


@pytest.mark.soak
@pytest.mark.parametrize("bad", CAPSULES, ids=lambda bad: f"{len(bad)} things")
def test_many_more_capsules(bad: dict[str, float], store: FragileStore) -> None:
    for seed in range(TOGETHER, SEEDS):
        run(seed, store, bad)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SEEDS + SOAK, TOGETHER))
def test_many_more(first: int, store: FragileStore) -> None:
    play(first, store)


@pytest.mark.parametrize("seed", KEPT)
def test_what_failed_once(seed: int, store: FragileStore) -> None:
    run(seed, store)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, marks=[pytest.mark.soak] if rule in RARE else []) for rule in RULES],
    ids=lambda rule: rule.__name__,
)
def test_each_rule_is_needed(
    rule: Callable[[Patch], None], store: FragileStore, monkeypatch: Patch
) -> None:
    rule(monkeypatch)
    for seed in chain([FIRST.get(rule, 0)], range(MOST_TRIES)):
        try:
            run(seed, store, RULES[rule])
        except Failed:
            return
    pytest.fail("no schedule notices that the rule is missing")


def test_a_schedule_can_be_played_again(store: FragileStore) -> None:
    first = run(7, store)
    assert first == run(7, store)
    assert len(first) > 20
