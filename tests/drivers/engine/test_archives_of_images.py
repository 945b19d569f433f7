"""Images as archives, for every driver: made of a container, saved, and loaded again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from dolium import errors
from dolium.drivers.engine.fake import Fake
from dolium.model.container import State
from dolium.model.image import OWN
from tests import engines
from tests.drivers.engine.conftest import Bench


@pytest.fixture
def name() -> str:
    """Nobody else's."""
    return f"{OWN}commit:{uuid.uuid4()}"


def test_a_container_becomes_an_image_and_goes_on(bench: Bench, name: str) -> None:
    engine = bench.engine
    seen = bench.run("sh", "-c", "echo more >/made-here; sleep 1000")
    if not isinstance(engine, Fake):
        read = ["cat", "/made-here"]
        engines.wait(
            lambda: engine.execute(seen.handle, read, 20).output == b"more\n", "it is written"
        )
    engine.commit(seen.handle, name)
    held = engine.image(name)
    engine.commit(seen.handle, name)  # a second one of the name is not made
    assert held is not None
    assert engine.image(name) == held
    bench.wait(seen, State.RUNNING)
    archive = b"".join(engine.save(name))
    engine.remove_image(name)
    assert engine.image(name) is None
    engine.load(f"{name}-2", iter([archive[:1000], archive[1000:]]))
    assert engine.image(f"{name}-2") is not None
    assert engine.image(name) is None
    if not isinstance(engine, Fake):
        again = bench.run("sh", "-c", "cat /made-here; sleep 1000", image=f"{name}-2")
        assert b"more" in engine.execute(again.handle, ["cat", "/made-here"], 10).output
        engine.stop(again.handle, 0)
        engine.remove(again.handle)
    engine.remove_image(f"{name}-2")


def test_what_is_refused_leaves_nothing(bench: Bench, name: str) -> None:
    engine = bench.engine
    with pytest.raises(errors.Absent):
        engine.save(name)
    engine.commit(bench.run("sleep", "1000").handle, name)
    held = engine.image(name)
    assert held is not None
    for image in (name, held.id):  # not for users, present or not
        with pytest.raises(errors.Refused, match="can't be had by their names"):
            engine.pull(image, "ifnotpresent")
    archive = b"".join(engine.save(name))
    engine.remove_image(name)

    def broken() -> Iterator[bytes]:
        yield archive
        raise errors.Unanswered(what="Glance", why="it broke off")

    with pytest.raises(errors.Unanswered, match="Glance does not answer: it broke off"):
        engine.load(name, broken())
    with pytest.raises(errors.Refused, match="is no archive"):
        engine.load(name, iter([b"QFI" * 1000]))
    assert engine.image(name) is None
