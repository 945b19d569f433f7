"""Logs that are followed: one log, whatever made the container run again."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from dolium import errors
from dolium.control import following
from dolium.control.following import Following, Log
from dolium.link.base import Line
from dolium.link.local import LocalHosts
from dolium.model import log, record
from dolium.model.container import State
from dolium.model.wish import Answer, Question
from tests.control.world import HOST, World


class Host:
    """Its logs are what the test writes."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.absent = False
        self.sockets: list[socket.socket] = []

    def answer(self, question: Question) -> Answer:
        return Answer()

    def open(self, question: Question) -> Line:
        assert question.what == "follow"
        self.asked.append(question.params)
        if self.absent:
            raise errors.Absent(what="It")
        return self

    def join(self, far: socket.socket) -> None:
        self.sockets.append(far)

    def say(self, text: str, *, end: bool = False) -> None:
        self.sockets[-1].sendall(log.piece(text.encode()) + log.END * end)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def line(number: int, text: str) -> str:
    return f"2026-11-26T09:00:0{number}.000000001Z {text}\n"


class Bench:
    def __init__(self) -> None:
        self.world, self.host, self.link = World(), Host(), LocalHosts()
        self.link.join(HOST, self.host)
        self.following = Following(self.world.store, self.world.clock, self.link)
        self.logs: list[Log] = []

    def row(self, uuid: str) -> record.Container:
        return self.world.containers.find(self.world.who(), uuid)

    def becomes(self, uuid: str, state: State, started_at: float = 0.0, **fact: Any) -> None:
        seen = self.world.seen(uuid, state, started_at=started_at or self.row(uuid).started_at)
        self.world.post(self.world.fact(uuid, seen=seen, **fact))

    def open(self, uuid: str, **params: Any) -> Log:
        self.logs.append(self.following.open(self.row(uuid), **params))
        return self.logs[-1]

    def close(self) -> None:
        for each in self.logs:
            each.close()
        self.host.close()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(following, "LOOK_S", 0.01)
    made = Bench()
    yield made
    made.close()


def taken(reader: Log, times: int = 5) -> str:
    """What comes in a few looks."""
    text = b""
    for _ in range(times):
        if not reader.ended:
            text += reader.take(0.02)
    return text.decode()


def test_what_has_ended_is_read_once(bench: Bench) -> None:
    uuid = bench.world.running("web")
    bench.becomes(uuid, State.EXITED)
    reader = bench.open(uuid, tail="3", since="12.5")
    bench.host.say(line(1, "one") + line(2, "two"), end=True)
    assert (taken(reader), reader.ended) == ("one\ntwo\n", True)
    assert bench.host.asked == [{"tail": "3", "since": "12.5"}]


def test_over_a_restart_it_is_one_log(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid, timestamps=True, tail="1")
    bench.host.say(line(1, "one") + line(1, "two"), end=True)
    assert taken(reader) == line(1, "one") + line(1, "two")
    assert not reader.ended  # the host has not told yet whether it runs on
    bench.becomes(uuid, State.EXITED, restarting=True)
    assert (taken(reader), reader.ended, len(bench.host.asked)) == ("", False, 1)
    bench.becomes(uuid, State.RUNNING, started_at=bench.world.clock.now() + 5)
    assert taken(reader) == ""
    since = log.Place(line(1, "").split()[0].encode()).since
    assert bench.host.asked[1:] == [{"tail": "all", "since": since}]
    bench.host.say(line(1, "one") + line(1, "two") + line(1, "three") + line(2, "four"))
    assert taken(reader) == line(1, "three") + line(2, "four")


def test_the_next_run_is_read_from_its_beginning_though_nothing_was_read(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid, tail="0")
    bench.host.say("", end=True)
    bench.becomes(uuid, State.RUNNING, started_at=1_900_000_000.0)
    taken(reader)
    assert bench.host.asked[1:] == [{"tail": "all", "since": "1899999999.900000"}]


def test_a_host_that_says_nonsense_fills_no_memory(bench: Bench) -> None:
    reader = bench.open(bench.world.running("web"))
    bench.host.sockets[-1].sendall(b"\xff" * 100)
    with pytest.raises(errors.HostDown):
        reader.take(1)


def test_what_was_written_last_is_asked_for_once_more(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid)
    bench.host.say(line(1, "one"), end=True)
    bench.becomes(uuid, State.EXITED)
    assert (taken(reader), reader.ended) == ("one\n", False)
    bench.host.say(line(1, "one") + line(2, "last"), end=True)
    assert (taken(reader), reader.ended) == ("last\n", True)


def test_a_run_that_nobody_was_told_of_is_found(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid)
    bench.host.say("", end=True)
    assert (taken(reader), len(bench.host.asked)) == ("", 1)
    bench.world.clock.time += following.AGAIN_S + 1
    taken(reader)
    assert len(bench.host.asked) == 2


def test_it_waits_until_there_is_something(bench: Bench) -> None:
    uuid = bench.world.create("web")
    reader = bench.open(uuid)
    assert (taken(reader), reader.ended, bench.host.asked) == ("", False, [])
    bench.world.placer.turn()
    bench.host.absent = True
    taken(reader)
    assert not reader.ended
    assert bench.host.asked
    bench.host.absent = False
    bench.becomes(uuid, State.RUNNING, 5.0, results=(bench.world.done(uuid),))
    taken(reader)
    bench.host.say(line(1, "hello"))
    assert taken(reader) == "hello\n"


def test_it_ends_with_its_container(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid)
    bench.host.say(line(1, "one"), end=True)
    assert taken(reader) == "one\n"
    bench.world.containers.delete(bench.world.who(), bench.row(uuid), force=True)
    bench.world.post(bench.world.fact(uuid, generation=2, gone=True))
    taken(reader)
    assert reader.ended


def test_what_breaks_off_has_not_ended(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid)
    bench.host.say(line(1, "one"))
    bench.host.close()
    assert reader.take(1) == b"one\n"
    with pytest.raises(errors.HostDown, match=HOST):
        reader.take(1)
    assert not reader.ended
    bench.link.leave(HOST)
    with pytest.raises(errors.HostDown):
        bench.open(uuid)


def test_letters_in_two_pieces_stay_whole(bench: Bench) -> None:
    uuid = bench.world.running("web")
    reader = bench.open(uuid)
    whole = line(1, "grün \N{SNOWMAN}").encode()
    for number in range(len(whole)):
        bench.host.sockets[-1].sendall(log.piece(whole[number : number + 1]))
    assert taken(reader) == "grün \N{SNOWMAN}\n"
    bench.host.sockets[-1].sendall(log.piece(line(2, "a").encode()[:-1] + b"\xff\n"))
    assert taken(reader) == "a\N{REPLACEMENT CHARACTER}\n"


def test_what_is_deleted_has_none(bench: Bench) -> None:
    uuid = bench.world.running("web")
    bench.world.containers.delete(bench.world.who(), bench.row(uuid), force=True)
    with pytest.raises(errors.WrongState, match="Cannot logs container"):
        bench.open(uuid)
