"""What is told of a pull: soon, seldom, and once more in the journal."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.agent.pulling import EVENT, EVERY_S, Pulling
from dolium.drivers.engine.docker_progress import Detail, Layers, Line
from dolium.model.image import Progress
from tests.control.world import TickingClock

MIB = 1 << 20


def test_the_first_word_at_once_then_one_a_second() -> None:
    clock, told = TickingClock(), list[str]()
    pulling = Pulling(clock, lambda progress: told.append(progress.text))
    assert pulling.step() is None
    pulling(Progress())
    for eighth in range(25):
        for _ in range(50):  # as many as an engine says
            pulling(Progress(eighth * MIB, 45 * MIB))
        clock.time += EVERY_S / 8
    assert told[0] == "Pulling image"
    assert told[1:] == [f"Pulling image: {mib} of 45 MiB" for mib in (8, 16, 24)]
    step = pulling.step(errors.Refused(why="no"))
    assert step is not None
    assert (step.event, step.ok, step.message) == (EVENT, False, "no")
    assert 3 <= step.finished_at - step.started_at < 4


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 0, "Pulling image"),
        (0, 10, "Pulling image: 0 of 1 MiB"),
        (12 * MIB + 5, 45 * MIB - 5, "Pulling image: 12 of 45 MiB"),
    ],
)
def test_words(done: int, total: int, text: str) -> None:
    assert Progress(done, total).text == text


def said(layer: str, status: str, *detail: int) -> Line:
    return Line(id=layer, status=status, detail=Detail(*detail) if detail else None)


def test_layers_are_added_up() -> None:
    layers, lines = (
        Layers(),
        [
            (said("latest", "Pulling from team/app"), Progress()),
            (said("a", "Already exists"), Progress()),
            (said("b", "Downloading", 1, 10), Progress(1, 10)),
            (said("c", "Downloading", 5, 20), Progress(6, 30)),
            (said("b", "Downloading", 9, 10), Progress(14, 30)),
            (said("b", "Extracting", 3, 99), Progress(14, 30)),
            (said("c", "Download complete"), Progress(29, 30)),
            (said("d", "Download complete"), Progress(29, 30)),
            (said("d", "Downloading", 3, -1), Progress(29, 30)),
            (said("b", "Downloading", 12, 10), Progress(30, 30)),
        ],
    )
    for line, expected in lines:
        assert layers.read(line) == expected
