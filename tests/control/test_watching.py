"""Changes reach who watches: at once, each once, in order, unless they are forgotten."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.control.watching import MOST_AT_ONCE, Watching
from dolium.model.clock import SystemClock
from dolium.store import projects, upgrade
from dolium.store.sqlite import Sqlite
from tests.control import world as worlds
from tests.control.world import World

FAR = 1e12


def test_a_change_wakes_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade.upgrade(tmp_path / "db")
    store = Sqlite(tmp_path / "db")
    monkeypatch.setattr(worlds, "make_store", lambda: store)
    world = World()
    watching = Watching(world.store, SystemClock())
    found: list[str] = []

    def wait() -> None:
        found.extend(change.what for change in watching.after("p1", 0, FAR))

    watcher = threading.Thread(target=wait)
    watcher.start()
    world.create()
    watcher.join(20)
    assert found == ["created"]
    store.close()


def test_in_pieces_it_is_the_same() -> None:
    world = World(quota=conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))
    watching = Watching(world.store, world.clock)
    uuids = [world.create(f"c{number}") for number in range(MOST_AT_ONCE + 20)]
    since, told = 0, []
    while found := watching.after("p1", since, 0.0):
        since = found[-1].revision
        told += found
    assert [change.revision for change in told] == [*range(1, watching.revision("p1") + 1)]
    assert [change.uuid for change in told if change.what == "created"] == uuids


def test_what_is_forgotten_is_said() -> None:
    world = World()
    watching = Watching(world.store, world.clock)
    for number in range(3):
        world.create(f"c{number}")
    now = watching.revision("p1")
    world.store.write(lambda tx: projects.trim(tx, FAR))
    for since in (0, now - 1, now + 1):
        with pytest.raises(errors.Forgotten):
            watching.after("p1", since, 0.0)
    assert watching.after("p1", now, 0.0) == []


def test_who_is_told_to_stop_stops() -> None:
    world = World()
    watching = Watching(world.store, SystemClock())
    assert watching.after("p1", 0, FAR, lambda: True) == []
