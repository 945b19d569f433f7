"""The pump of consoles, where what it carries gets stuck."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dolium.link import pump
from dolium.link.pump import Pump
from tests.link.ends import PATIENCE, eventually


@pytest.fixture
def made() -> Iterator[Pump]:
    made = Pump("test")
    yield made
    made.stop()


class Pair:
    """Both other sides: the process's and the user's."""

    def __init__(self, made: Pump) -> None:
        near, self.process = socket.socketpair()
        far, self.user = socket.socketpair()
        self.ended = 0
        made.join(near, far, ended=self._end)
        for sock in (self.process, self.user):
            sock.settimeout(PATIENCE)

    def _end(self) -> None:
        self.ended += 1

    def close(self) -> None:
        self.process.close()
        self.user.close()


def fill(sock: socket.socket) -> int:
    """Write until nobody takes more."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while True:
            sent += sock.send(b"x" * 65536)
    except TimeoutError:
        return sent


def test_a_process_that_reads_nothing_holds_nobody_for_ever(
    made: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "STALL_S", 1.0)
    pair, other = Pair(made), Pair(made)
    fill(pair.user)
    pair.user.close()
    eventually(lambda: pair.ended == 1)
    other.user.sendall(b"typed")
    assert other.process.recv(100) == b"typed"
    assert other.ended == 0
    pair.close()
    other.close()
    eventually(lambda: other.ended == 1)


def test_a_slow_process_gets_everything(made: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "STALL_S", 5.0)
    pair = Pair(made)
    sent, got = fill(pair.user), 0
    while got < sent:
        got += len(pair.process.recv(65536))
    assert (got, pair.ended) == (sent, 0)
    pair.close()
    eventually(lambda: pair.ended == 1)


def test_a_user_that_reads_nothing_holds_up_its_process_alone(made: Pump) -> None:
    pair, other = Pair(made), Pair(made)
    sent = fill(pair.process)
    other.process.sendall(b"shown")
    assert other.user.recv(100) == b"shown"
    pair.process.close()
    got = 0
    while piece := pair.user.recv(65536):
        got += len(piece)
    assert got == sent
    pair.close()
    other.close()
    eventually(lambda: (pair.ended, other.ended) == (1, 1))


def test_who_does_not_hang_up_is_hung_up_on(made: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "LINGER_S", 0.2)
    pair = Pair(made)
    pair.process.sendall(b"last words")
    pair.process.close()
    assert pair.user.recv(100) == b"last words"
    assert pair.user.recv(100) == b""
    eventually(lambda: pair.ended == 1)
    pair.close()


def test_after_a_stop_nothing_is_joined(made: Pump) -> None:
    before = Pair(made)
    made.stop()
    after = Pair(made)
    for pair in (before, after):
        assert (pair.user.recv(100), pair.process.recv(100), pair.ended) == (b"", b"", 1)
        pair.close()
    assert len(made) == 0
