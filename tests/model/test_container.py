"""The tables of states are the container API's."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.model.container import (
    ASKS,
    DELETE_AFTER_STOP,
    DELETE_FORCE,
    MOVES,
    Event,
    Status,
    Verb,
    check,
)


def names(statuses: frozenset[Status]) -> set[str]:
    return {status.value for status in statuses}


@pytest.mark.parametrize(
    ("verb", "allowed"),
    [
        (Verb.START, "Created Stopped Error"),
        (Verb.STOP, "Running"),
        (Verb.PAUSE, "Running"),
        (Verb.KILL, "Running"),
        (Verb.UNPAUSE, "Paused"),
        (Verb.REBOOT, "Created Running Stopped Error"),
        (Verb.REBUILD, "Created Running Stopped Error"),
        (Verb.UPDATE, "Created Running Stopped Paused"),
        (Verb.DELETE, "Created Error Stopped Deleted Dead"),
    ],
)
def test_what_is_allowed_when(verb: Verb, allowed: str) -> None:
    assert names(ASKS[verb].allowed) == set(allowed.split())


def test_forced_and_stopping_deletions() -> None:
    # Restarting, Unknown and Deleting too: a forced deletion is for what hangs.
    assert names(DELETE_FORCE) == {status.value for status in Status} - {"Paused"}
    zun = set("Running Created Error Stopped Deleted Dead".split())
    assert names(DELETE_AFTER_STOP) == zun | {"Creating", "Restarting", "Rebuilding", "Unknown"}


def test_the_refusal_names_verb_container_and_status() -> None:
    with pytest.raises(errors.WrongState, match="Cannot stop container u1 in Stopped state"):
        check("stop", ASKS[Verb.STOP].allowed, "u1", "Stopped")


def test_every_status_has_an_answer_to_every_event() -> None:
    assert set(MOVES) == {(status, event) for status in Status for event in Event}


def test_an_error_stays_until_it_runs_and_a_deletion_for_ever() -> None:
    assert MOVES[Status.ERROR, Event.EXITED] is Status.ERROR
    assert MOVES[Status.ERROR, Event.RUNNING] is Status.RUNNING
    assert all(MOVES[Status.DELETING, event] is Status.DELETING for event in Event)
