"""Fate of the fake engine: what simulations rely on."""

from __future__ import annotations

from typing import Any

import pytest

from dolium import errors
from dolium.drivers.engine.base import Labels
from dolium.drivers.engine.fake import Fake, Image
from dolium.model.container import Seen, Spec, State

NAME = "dolium-u-1"


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return 1e9 + self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def fake(clock: Hands) -> Fake:
    fake = Fake(clock=clock)
    fake.pull("busybox", "always")
    return fake


def run(fake: Fake, *command: str, **spec: Any) -> str:
    handle = create(fake, *command, **spec)
    fake.start(handle)
    return handle


def create(fake: Fake, *command: str, **spec: Any) -> str:
    labels = Labels(deployment="d", uuid="u", generation=1)
    wish = Spec(image="busybox", command=list(command) or None, **spec)
    return fake.create(NAME, wish, (), labels)


def look(fake: Fake) -> Seen:
    seen = fake.look(NAME)
    assert seen is not None
    return seen


def test_time_is_the_clocks(fake: Fake, clock: Hands) -> None:
    handle = run(fake, "sh", "-c", "echo one; sleep 5; echo two; exit 3")
    assert fake.logs(handle) == b"one\n"
    clock.time += 4.9
    assert look(fake).state is State.RUNNING
    clock.time += 0.1
    assert (look(fake).state, look(fake).exit_code) == (State.EXITED, 3)
    assert look(fake).started_at == 1e9 + 1000
    assert fake.logs(handle) == b"one\ntwo\n"


def test_a_paused_process_gets_no_older(fake: Fake, clock: Hands) -> None:
    handle = run(fake, "sleep", "5")
    clock.time += 3
    fake.pause(handle)
    clock.time += 100
    assert look(fake).state is State.PAUSED
    fake.unpause(handle)
    clock.time += 1.9
    assert look(fake).state is State.RUNNING
    clock.time += 0.1
    assert look(fake).state is State.EXITED


def test_output_ends_with_the_process(fake: Fake, clock: Hands) -> None:
    handle = run(fake, "sh", "-c", "echo one; sleep 5; echo never")
    clock.time += 1
    fake.stop(handle, 0)
    clock.time += 100
    assert fake.logs(handle) == b"one\n"


def test_a_fault_before(fake: Fake) -> None:
    handle = create(fake, "sleep", "5")
    fake.fail("start", errors.Unanswered(what="x", why="y"), times=2)
    for _ in range(2):
        with pytest.raises(errors.Unanswered):
            fake.start(handle)
    assert look(fake).state is State.CREATED
    fake.start(handle)
    assert look(fake).state is State.RUNNING


def test_a_fault_after(fake: Fake) -> None:
    handle = create(fake, "sleep", "5")
    fake.fail("start", errors.Unanswered(what="x", why="y"), after=True)
    with pytest.raises(errors.Unanswered):
        fake.start(handle)
    assert look(fake).state is State.RUNNING
    assert fake.boxes[NAME].starts == 1


def test_any_method_and_healing(fake: Fake) -> None:
    fake.fail("*", KeyboardInterrupt(), times=100)
    with pytest.raises(KeyboardInterrupt):
        fake.listing("d")
    fake.heal()
    assert fake.listing("d") == []


def test_hook_sees_every_boundary(fake: Fake) -> None:
    seen: list[tuple[str, str]] = []
    fake.hook = lambda method, when: seen.append((method, when))
    run(fake, "sleep", "5")
    assert seen == [
        ("create", "before"),
        ("create", "after"),
        ("start", "before"),
        ("start", "after"),
    ]
    assert fake.calls["start"] == 1


def test_the_engine_dies_and_its_containers_live(fake: Fake) -> None:
    run(fake, "sleep", "5")
    before = fake.incarnation()
    fake.crash(survive=True)
    for ask in (fake.facts, lambda: fake.look(NAME), lambda: fake.events("d")):
        with pytest.raises(errors.Unanswered):
            ask()
    fake.revive()
    assert look(fake).state is State.RUNNING
    assert fake.incarnation() != before


def test_the_engine_dies_and_its_containers_too(fake: Fake) -> None:
    run(fake, "sleep", "5")
    fake.happened("d")
    fake.crash(survive=False)
    fake.revive()
    assert (look(fake).state, look(fake).exit_code) == (State.EXITED, 255)
    assert fake.happened("d") == []


def test_events_are_told_once(fake: Fake, clock: Hands) -> None:
    run(fake, "sleep", "5")
    assert [event.what for event in fake.happened("d")] == ["create", "start"]
    assert fake.happened("d") == []
    clock.time += 5
    assert [event.what for event in fake.happened("d")] == ["die"]
    assert fake.happened("other") == []


def test_the_stream_breaks_with_the_engine(fake: Fake) -> None:
    stream = fake.events("d")
    run(fake, "sleep", "5")
    assert next(stream).what == "create"
    fake.crash()
    assert next(stream).what == "start"
    with pytest.raises(errors.Unanswered):
        next(stream)


def test_exit_and_loss(fake: Fake) -> None:
    run(fake, "nginx")
    fake.exit(NAME, 9)
    assert look(fake).exit_code == 9
    fake.lose(NAME)
    assert fake.look(NAME) is None


def test_services_end_on_sigterm(fake: Fake) -> None:
    handle = run(fake, "nginx")
    fake.kill(handle, "SIGTERM")
    assert look(fake).exit_code == 0


def test_an_interactive_shell_waits(fake: Fake) -> None:
    run(fake, interactive=True)
    assert look(fake).state is State.RUNNING


def test_images_bring_something_along(fake: Fake) -> None:
    fake.registry["web:1"] = Image(
        command=("nginx",), environment=(("A", "1"),), ports=(80,), workdir="/srv"
    )
    fake.pull("web:1", "ifnotpresent")
    labels = Labels(deployment="d", uuid="u", generation=1)
    fake.create(NAME, Spec(image="web:1", environment={"B": "2"}), (), labels)
    shown = look(fake).look
    assert shown
    assert shown.command == ["nginx"]
    assert shown.environment == {"A": "1", "B": "2"}
    assert (shown.ports, shown.workdir) == ([80], "/srv")
