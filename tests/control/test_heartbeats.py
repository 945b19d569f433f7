"""Signs of life: one statement for many, none for nobody, none lost."""

from __future__ import annotations

import sqlalchemy as sa

from dolium import errors
from dolium.control.heartbeats import Heartbeats
from dolium.model.host import Hello
from dolium.store.sqlite import Sqlite
from tests.control.world import World


def beats(world: World) -> dict[str, int]:
    return {service.name: service.beat for service in world.services.all()}


def test_one_statement_for_all_who_were_heard_of() -> None:
    world = World()
    for name in ("host2", "host3"):
        world.hosts.hello(Hello(host=name, boot="b", inventory=world.inventory))
    statements: list[str] = []
    assert isinstance(world.store, Sqlite)
    engine = world.store._writer

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _told(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    heartbeats, before = Heartbeats(world.store, world.clock), beats(world)
    statements.clear()
    assert heartbeats.flush() == 0
    assert statements == []
    for name in ("host3", "host1", "host3"):
        heartbeats.heard(name)
    assert heartbeats.flush() == 2
    assert len(statements) == 1
    assert heartbeats.flush() == 0
    assert beats(world) == before | {"host1": 2, "host3": 2}


def test_who_was_heard_of_while_the_database_was_away_is_not_forgotten() -> None:
    world = World()
    heartbeats, write = Heartbeats(world.store, world.clock), world.store.write
    heartbeats.heard("host1")

    def away(_work: object) -> object:
        raise errors.Unanswered(what="The database", why="test")

    world.store.write = away  # type: ignore[method-assign,assignment]
    try:
        heartbeats.flush()
    except errors.Unanswered:
        pass
    world.store.write = write  # type: ignore[method-assign]
    assert heartbeats.flush() == 1
    assert beats(world) == {"host1": 2}


def test_only_the_present_boot_is_a_sign_of_life() -> None:
    world, heard = World(), list[str]()
    world.hosts._heard = heard.append
    world.pull()
    assert heard == ["host1"]
    old, world.boot = world.boot, "another"
    try:
        world.pull()
    except errors.Changed:
        pass
    world.post()
    assert heard == ["host1"]
    world.boot = old
    world.post()
    assert heard == ["host1", "host1"]


def test_its_thread_writes_by_itself_and_ends() -> None:
    world = World()
    written = []
    heartbeats = Heartbeats(world.store, world.clock)
    flush = heartbeats.flush
    heartbeats.flush = lambda: written.append(flush()) or 1  # type: ignore[method-assign,func-returns-value]
    heartbeats.start()
    heartbeats.heard("host1")
    heartbeats.stop()
    assert sum(written) <= 1
    assert not heartbeats._thread.is_alive()
