"""The undo stack."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.undo import Undo


class Made:
    def __init__(self) -> None:
        self.things: list[str] = []
        self.stuck: set[str] = set()

    def add(self, undo: Undo, thing: str) -> None:
        self.things.append(thing)
        undo(self.drop, thing)

    def drop(self, thing: str) -> None:
        if thing in self.stuck:
            raise errors.Unanswered(what=thing, why="busy")
        self.things.remove(thing)


def fail(made: Made, error: BaseException) -> None:
    with Undo() as undo:
        made.add(undo, "ports")
        made.add(undo, "container")
        raise error


def test_a_definite_failure_takes_all_back() -> None:
    made = Made()
    with pytest.raises(errors.Refused):
        fail(made, errors.Refused(why="no"))
    assert made.things == []


@pytest.mark.parametrize(
    "error", [errors.Unanswered(what="engine", why="silence"), KeyboardInterrupt()]
)
def test_an_unknown_outcome_and_a_kill_take_nothing_back(error: BaseException) -> None:
    made = Made()
    with pytest.raises(type(error)):
        fail(made, error)
    assert made.things == ["ports", "container"]


def test_nothing_is_taken_from_under_what_could_not_be_taken_back() -> None:
    made = Made()
    made.stuck.add("container")
    with pytest.raises(errors.Refused):
        fail(made, errors.Refused(why="no"))
    assert made.things == ["ports", "container"]


def test_leaving_normally_forgets() -> None:
    made = Made()
    with Undo() as undo:
        made.add(undo, "ports")
    assert made.things == ["ports"]
