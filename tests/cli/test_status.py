"""`dolium status`, of one machine and of a control plane that shares a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dolium import conf
from dolium.api.server import Server
from dolium.cli import contents, database, status
from dolium.cli.state import State
from dolium.model.host import Hello, Inventory
from dolium.store import hosts, members
from dolium.store.members import Member
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store
from tests.cli.test_state import me
from tests.control.test_claims import PlacementWorld
from tests.control.world import HOST, World
from tests.stories.cloud import Cloud


def member(name: str, role: str) -> Member:
    return Member(id=name, role=role, host="ctl1", address="", version="1.2", started_at=1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """With an API process that lives and a conductor that died."""
    made = Sqlite(tmp_path / "db")
    made.write(lambda tx: metadata.create_all(tx.connection))
    made.write(lambda tx: members.beat(tx, member("a", "api")))
    made.write(lambda tx: members.beat(tx, member("b", "conductor")))
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.01):
            made.write(lambda tx: members.beat(tx, member("a", "api")))

    thread = threading.Thread(target=beat)
    thread.start()
    yield made
    stop.set()
    thread.join()
    made.close()


def said(
    capsys: pytest.CaptureFixture[str], config: conf.Config
) -> tuple[int, str, dict[str, Any]]:
    """Exit status, text and JSON."""
    code = status.run(config, as_json=False)
    text = capsys.readouterr().out
    assert status.run(config, as_json=True) == code
    return code, text, json.loads(capsys.readouterr().out)


def shared(monkeypatch: pytest.MonkeyPatch, store: Store) -> conf.Config:
    """A control node whose database server is the store."""

    @contextmanager
    def opened(_config: conf.Config) -> Iterator[Store]:
        yield store

    monkeypatch.setattr(database, "opened", opened)
    monkeypatch.setattr(contents, "PATIENCE_S", 2.0)
    connection = "mariadb+pymysql://dolium:secret@db/dolium"
    return conf.Config(
        default=conf.Default(state_dir="/nowhere"), database=conf.Database(connection=connection)
    )


def test_a_control_plane_without_dolium_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    config = shared(monkeypatch, store)
    code, text, told = said(capsys, config)
    assert code == 1
    assert "secret" not in text + str(told) and "db/dolium" in text
    lines = [line.split() for line in text.splitlines()]
    assert lines[1][:6] == ["roles", "api", "shows", "signs", "of", "life"]
    assert lines[2][:6] == ["conductor", "SHOWS", "NO", "SIGN", "OF", "LIFE"]
    assert [(role["role"], role["alive"]) for role in told["roles"]] == [
        ("api", True),
        ("conductor", False),
    ]
    store.write(lambda tx: members.drop(tx, "b"))
    assert said(capsys, config)[0] == 0


def test_hosts_and_the_oldest_action() -> None:
    world = World()
    world.create("first")
    world.clock.time += 60
    world.create("second")
    found = contents.read(world.store, 0.0)
    assert found["hosts"] == [{"name": HOST, "zone": "nova", "state": "up", "containers": 0}]
    assert found["open_actions"] == 2
    oldest = found["oldest_action"]
    assert (oldest["verb"], oldest["name"], oldest["host"]) == ("create", "first", None)
    text = "\n".join(contents.lines(found))
    assert "create first, which has no host yet (req-1)" in text
    assert "  waiting    2 for a host\n" in text
    world.placer.turn()
    assert "waiting" not in "\n".join(contents.lines(contents.read(world.store, 0.0)))
    assert f"create first on {HOST} (req-1)" in "\n".join(
        contents.lines(contents.read(world.store, 0.0))
    )


def test_who_waits_for_placement_is_told() -> None:
    world = PlacementWorld()
    world.create("first")
    world.placer.turn()
    text = "\n".join(contents.lines(contents.read(world.store, 0.0)))
    assert "  waiting    1 for Placement\n" in text


def test_of_many_hosts_only_those_in_trouble_are_listed() -> None:
    world = World()
    for number in range(contents.MOST_LINES):
        name = f"node{number}"
        inventory = Inventory(hostname=name, cpus=8, memory_mib=16000, disk_gib=9)
        hello = Hello(host=name, boot="b", inventory=inventory)
        world.store.write(lambda tx, hello=hello: hosts.enrol(tx, hello, (1, 1, 1, 0), 1.0))  # type: ignore[misc]
    world.services.disable("node7", "a new disk")
    text = "\n".join(contents.lines(contents.read(world.store, 0.0)))
    assert f"{contents.MOST_LINES} up; 1 up, disabled" in text
    assert "node7" in text and "node8" not in text


@pytest.mark.parametrize("failing", [False, True])
def test_parts_that_fail_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, failing: bool
) -> None:
    cloud = Cloud()
    cloud.registry.check("conductor", lambda: "It does not turn" if failing else None)
    server = Server(cloud.app, port=0, threads=2)
    server.start()
    try:
        state = State(tmp_path)
        api = f"http://127.0.0.1:{server.port}/v1"
        told = status._answers(msgspec.structs.replace(me(), api=api))
        assert state.running() is None
    finally:
        server.stop()
    assert told["parts"]["api"]["answers"]
    assert told["failing"] == (["conductor"] if failing else [])
    status._print_parts(told)
    assert ("conductor" in capsys.readouterr().out) == failing


def test_ages_are_spoken() -> None:
    found = [contents.spoken(seconds) for seconds in (3.21, 119, 121, 7200, 86400 * 3)]
    assert found == ["3.2 s", "119.0 s", "2 min", "2 h", "3 days"]
