"""Thousands of bad days: `DOLIUM_SOAK_SEEDS=20000 pytest tests/simulation -n auto` plays more.

A schedule that fails prints itself; its seed belongs into regressions.txt, where it stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulation.rules import RULES, Patch
from tests.simulation.schedule import Failed, run
from tests.simulation.world import FragileStore

SEEDS = int(os.environ.get("DOLIUM_SOAK_SEEDS", "1000"))
FIRST = int(os.environ.get("DOLIUM_SOAK_FIRST", "0"))
TOGETHER = 25
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("regressions.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]

MOST_TRIES = 1000
CAUGHT_BY = {
    "results_are_kept_until_acknowledged": 0,
    "a_command_is_carried_out_once": 0,
    "a_signal_is_noted_before_it_is_sent": 147,
    "a_start_is_noted_before_it_is_sent": 8,
    "nothing_is_torn_down_before_the_container_stopped": 25,
    "garbage_goes_only_when_gone_for_certain": 2,
    "an_older_boot_counts_for_nothing": 242,
    "facts_are_compared_by_their_counters": 16,
    "undo_only_after_a_definite_failure": 53,
    "what_went_down_with_its_engine_comes_back": 149,
    "claims_go_with_the_row": 0,
    "who_is_cut_off_says_hello_again": 36,
}
"""Where a search for a schedule that needs the rule begins; only to find it sooner."""


@pytest.fixture(scope="module")
def store() -> Iterator[FragileStore]:
    logging.disable(logging.CRITICAL)  # what goes wrong here is meant to
    made = FragileStore()
    yield made
    made.close()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, TOGETHER))
def test_nothing_is_lost_and_nothing_is_left(first: int, store: FragileStore) -> None:
    for seed in range(first, min(first + TOGETHER, FIRST + SEEDS)):
        run(seed, store)


@pytest.mark.parametrize("seed", KEPT)
def test_what_failed_once(seed: int, store: FragileStore) -> None:
    run(seed, store)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_is_needed(
    rule: Callable[[Patch], None], store: FragileStore, monkeypatch: Patch
) -> None:
    rule(monkeypatch)
    start = CAUGHT_BY.get(rule.__name__, 0)
    for number in range(MOST_TRIES):
        try:
            run((start + number) % MOST_TRIES, store)
        except Failed:
            return
    pytest.fail("no schedule notices that the rule is missing")


def test_a_schedule_can_be_played_again(store: FragileStore) -> None:
    first = run(7, store)
    assert first == run(7, store)
    assert len(first) > 20
