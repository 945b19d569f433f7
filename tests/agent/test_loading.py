"""Images of Glance on a host, and containers that become some."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

from dolium import errors
from dolium.agent.loading import Loading
from dolium.drivers.engine.fake import Fake, Image
from dolium.drivers.engine.fake_saved import archive
from dolium.model.container import State, Verb
from dolium.model.image import Pin, snapshot
from tests.agent.stub import Bench, Clock
from tests.agent.test_commands import crash

U = "c0000000-0000-4000-8000-000000000001"
OTHER = "c0000000-0000-4000-8000-000000000002"
BOX = f"dolium-{U}-1"
ARCHIVE = archive(Image(command=("sleep", "1000")))
PIN = Pin(id="i1", algorithm="sha512", digest=hashlib.sha512(ARCHIVE).hexdigest())


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.control.archive = ARCHIVE
    return made


def create(bench: Bench, uuid: str = U, pin: Pin = PIN, policy: str | None = None) -> int:
    return bench.control.create(
        uuid,
        image=pin.name,
        image_driver="glance",
        pin=pin,
        command=None,
        image_pull_policy=policy,
    )


@pytest.mark.parametrize("policy", [None, "always", "ifnotpresent"])
def test_it_is_loaded_once_and_never_pulled(bench: Bench, policy: str | None) -> None:
    create(bench, policy=policy)
    create(bench, OTHER, policy=policy)
    bench.settle()
    assert bench.engine.boxes[BOX].state is State.RUNNING
    assert bench.engine.boxes[BOX].argv == ["sleep", "1000"]
    assert (bench.control.images_asked, bench.engine.calls["pull"]) == (1, 0)


def test_never_needs_it_on_the_host(bench: Bench) -> None:
    number = create(bench, policy="never")
    bench.settle()
    assert "could not be found: it is not on this host" in str(
        bench.control.results[number].message
    )
    assert bench.control.images_asked == 0


def test_what_glance_does_not_vouch_for_is_not_used(bench: Bench) -> None:
    other = Pin(id="i1", algorithm="sha512", digest="0" * 128)
    number = create(bench, pin=other)
    bench.settle()
    assert "its digest is another" in str(bench.control.results[number].message)
    assert other.name not in bench.engine.images


def test_a_silent_glance_is_waited_for(bench: Bench) -> None:
    bench.control.archive = b""
    create(bench)
    bench.settle()
    assert bench.control.facts[U].reason == "Glance does not answer: connection refused"
    bench.control.archive = ARCHIVE
    bench.settle(60.0)
    assert bench.control.facts[U].reason is None
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_a_container_that_is_deleted_does_not_wait(bench: Bench) -> None:
    bench.control.archive = b""
    create(bench)
    bench.settle()
    bench.control.ask(U, Verb.DELETE)
    bench.settle(60.0)
    assert bench.control.facts[U].gone


def test_who_waits_for_another_may_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Fake(clock=Clock())
    begun, ending = threading.Event(), threading.Event()

    def source(uuid: str) -> Iterator[bytes]:
        begun.set()
        ending.wait(30)
        yield ARCHIVE

    loading = Loading(engine, source)
    leader = threading.Thread(target=lambda: loading.load(U, PIN, "always", lambda: False))
    # The fake's own lock would keep out who only looks.
    monkeypatch.setattr(engine, "load", lambda name, pieces: [*pieces])
    leader.start()
    assert begun.wait(30)
    with pytest.raises(errors.Unanswered, match="it was given up"):
        loading.load(OTHER, PIN, "always", lambda: True)
    ending.set()
    leader.join(30)
    assert not leader.is_alive()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_was_interrupted_makes_one_image(bench: Bench, when: str) -> None:
    bench.control.create(U)
    bench.settle()
    number = bench.control.ask(U, Verb.COMMIT, image="i2")
    crash(bench, "commit", when)
    assert bench.control.results[number].ok
    assert snapshot("i2") in bench.engine.images
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_what_the_engine_left_frozen_goes_on(bench: Bench) -> None:
    """It was killed in the middle of a commit, when it had frozen the container for it."""
    bench.control.create(U)
    bench.settle()
    bench.engine.pause(bench.engine.boxes[BOX].handle)
    number = bench.control.ask(U, Verb.COMMIT, image="i2")
    bench.settle(30.0)
    assert bench.control.results[number].ok
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_what_is_not_there_can_not_be_committed(bench: Bench) -> None:
    bench.control.create(U)
    bench.settle()
    bench.engine.lose(BOX)
    number = bench.control.ask(U, Verb.COMMIT, image="i2")
    bench.settle()
    assert not bench.control.results[number].ok
