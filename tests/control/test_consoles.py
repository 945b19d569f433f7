"""Tokens of consoles: for whom, for what, once, and not for long."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dolium import errors
from dolium.control.conductor import Conductor
from dolium.control.consoles import TTL_S, Consoles
from dolium.link.base import Line
from dolium.link.local import LocalHosts
from dolium.model import record
from dolium.model.container import State
from dolium.model.wish import Answer, Question
from dolium.store import consoles as rows
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from tests.control.world import HOST, World

EXEC = "ab" * 32


class Host:
    """Its consoles say what they were asked for, then end."""

    def __init__(self) -> None:
        self.opened: list[Question] = []

    def answer(self, question: Question) -> Answer:
        return Answer(value=EXEC if question.what == "exec_create" else None)

    def open(self, question: Question) -> Line:
        self.opened.append(question)
        return self

    def join(self, far: socket.socket) -> None:
        far.sendall(self.opened[-1].what.encode())
        far.close()


class Bench:
    def __init__(self) -> None:
        self.world, self.host, self.link = World(), Host(), LocalHosts()
        self.link.join(HOST, self.host)
        self.consoles = Consoles(self.world.store, self.world.clock, self.link, "ws://x/")
        self.uuid = self.world.running("box", interactive=True)

    @property
    def row(self) -> record.Container:
        return self.world.containers.find(self.world.who(), self.uuid)

    def attach(self) -> dict[str, str]:
        return asked(self.consoles.attach(self.row))

    def execute(self) -> dict[str, str]:
        return asked(self.consoles.execute(self.row, "sh -l")["proxy_url"])

    def kept(self) -> list[str]:
        with self.world.store.read() as connection:
            found = connection.exec_driver_sql("SELECT token_sha256 FROM consoles")
            return [row[0] for row in found]

    def opens(self, given: dict[str, str]) -> str:
        with self.consoles.open(**given) as console:
            return console.recv(100).decode()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_an_address_lets_its_bearer_in_once(bench: Bench) -> None:
    for given, what in ((bench.attach(), "attach"), (bench.execute(), "exec_start")):
        assert bench.opens(given) == what
        with pytest.raises(errors.BadToken):
            bench.consoles.open(**given)
    assert [each.params for each in bench.host.opened] == [{}, {"exec_id": EXEC}]
    assert bench.kept() == []


def test_only_a_digest_is_kept(bench: Bench) -> None:
    tokens = {bench.attach()["token"], bench.execute()["token"]}
    kept = bench.kept()
    assert len(tokens) == 2 and len(kept) == 2 and not tokens & set(kept)
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in kept)


def test_it_is_good_for_nothing_else(bench: Bench) -> None:
    attach, execute = bench.attach(), bench.execute()
    for given in (
        attach | {"exec_id": EXEC},
        {name: execute[name] for name in ("token", "uuid")},
        execute | {"exec_id": "cd" * 32},
        execute | {"uuid": bench.world.running("other")},
        execute | {"token": attach["token"]},
        attach | {"token": "x" * 43},
    ):
        with pytest.raises(errors.BadToken):
            bench.consoles.open(**given)
    assert bench.host.opened == []
    assert (bench.opens(attach), bench.opens(execute)) == ("attach", "exec_start")


def test_it_expires_and_is_forgotten(bench: Bench) -> None:
    world, late = bench.world, bench.attach()
    world.clock.time += TTL_S - 1
    assert bench.opens(bench.attach()) == "attach"
    fresh = bench.attach()
    world.clock.time += 2
    with pytest.raises(errors.BadToken):
        bench.consoles.open(**late)
    world.store.write(lambda tx: rows.trim(tx, world.clock.now()))
    assert len(bench.kept()) == 1
    assert bench.opens(fresh) == "attach"


def test_the_conductor_sweeps_them(bench: Bench) -> None:
    bench.attach()
    world = bench.world
    world.clock.time += TTL_S + 1
    lost: object = None
    Conductor(world.store, world.clock, world.placer, lost).sweep()  # type: ignore[arg-type]
    assert bench.kept() == []


def test_of_many_who_come_one_is_let_in(tmp_path: Path) -> None:
    store = Sqlite(tmp_path / "db")
    store.write(lambda tx: metadata.create_all(tx.connection))
    store.write(lambda tx: rows.offer(tx, "digest", "uuid", "", 10.0))
    got, begin = list[bool](), threading.Barrier(8)

    def come() -> None:
        begin.wait()
        got.append(store.write(lambda tx: rows.spend(tx, "digest", "uuid", "", 1.0)))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    store.close()
    assert sorted(got) == [False] * 7 + [True]


def test_the_container_has_to_be_there_and_to_run(bench: Bench) -> None:
    world, given, again = bench.world, bench.attach(), bench.attach()
    world.post(world.fact(bench.uuid, seen=world.seen(bench.uuid, State.EXITED)))
    with pytest.raises(errors.WrongState):
        bench.consoles.open(**given)
    with pytest.raises(errors.WrongState):
        bench.attach()
    with pytest.raises(errors.WrongState):
        bench.execute()
    world.containers.delete(world.who(), bench.row)
    world.post(world.fact(bench.uuid, gone=True))
    with pytest.raises(errors.NotFound):
        bench.consoles.open(**again)


def test_its_host_has_to_answer(bench: Bench) -> None:
    given = bench.attach()
    bench.link.leave(HOST)
    with pytest.raises(errors.HostDown):
        bench.consoles.open(**given)
    with pytest.raises(errors.HostDown):
        bench.execute()


def test_what_was_not_opened_is_not_attached_to(bench: Bench) -> None:
    bench.uuid = bench.world.running("web")
    with pytest.raises(errors.NotInteractive):
        bench.attach()
    assert bench.kept() == []
