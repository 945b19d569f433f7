"""A log that is followed, over a real connection: complete, broken off, left, and slowly read."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dolium.model import log
from tests.api.desk import MOST, STAMP, Bench
from tests.link.ends import PATIENCE, eventually


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as made:
        yield made


def gone(sock: socket.socket) -> bool:
    """Whether nobody reads at the other side."""
    try:
        return sock.send(log.piece(STAMP + b"to nobody\n"), socket.MSG_DONTWAIT) == 0
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_the_head_comes_first_and_text_as_it_is_written(bench: Bench) -> None:
    with bench.follow() as reply:
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        for word in (b"one\n", b"two\n"):
            bench.desk.say(STAMP + word)
            assert reply.readline() == word


def test_what_breaks_off_is_no_complete_answer(bench: Bench) -> None:
    with bench.follow() as reply:
        bench.desk.say(STAMP + b"one\n")
        assert reply.readline() == b"one\n"
        bench.desk.open.pop().close()  # the agent is gone
        with pytest.raises(http.client.IncompleteRead):
            reply.read()
    with bench.follow() as reply:
        bench.server.stop()
        with pytest.raises(http.client.IncompleteRead):
            reply.read()


def test_who_leaves_a_silent_log_is_noticed(bench: Bench) -> None:
    def let_in() -> bool:
        with bench.follow() as reply:
            return reply.status == 200

    with ExitStack() as stack:
        for _ in range(MOST):
            assert stack.enter_context(bench.follow()).status == 200
        assert not let_in()
        eventually(lambda: gone(bench.desk.open[MOST]))
    eventually(lambda: all(gone(each) for each in bench.desk.open))
    eventually(let_in)


def test_a_slow_reader_holds_up_the_host(bench: Bench) -> None:
    text = (STAMP + b"x" * 1000 + b"\n") * 60
    with bench.follow() as reply:
        desk, sent = bench.desk.open[-1], 0
        desk.settimeout(1.0)
        data = log.piece(text) * 400
        try:
            while sent < len(data):
                sent += desk.send(data[sent : sent + 65536])
        except TimeoutError:
            pass
        assert sent < len(data) / 2  # of 24 MB: what sockets hold, and nothing else does
        desk.settimeout(PATIENCE)
        got, lines = 0, sent // len(log.piece(text)) * 60
        for _ in range(lines):
            got += len(reply.readline())
        assert got == lines * 1001
