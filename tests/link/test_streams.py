"""Streams over both links: bytes of images, to hosts and from them, with an end that is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolium import errors
from dolium.link.stream import MOST, Incoming, Outgoing, send
from dolium.model.wish import Question
from tests.link.ends import hello
from tests.link.test_conformance import HOST, UUID, Ends, ends

__all__ = ["ends"]

ASKS = Question(what="save_image", uuid=UUID, params={"name": "n"})


def pieces(*some: bytes, error: BaseException | None = None) -> Iterator[bytes]:
    yield from some
    if error is not None:
        raise error


def serve(ends: Ends, monkeypatch: pytest.MonkeyPatch, source: Any) -> None:
    """Both the control side's and the agent's answer."""
    ends.link.hello(hello(HOST, "boot-1"))
    monkeypatch.setattr(ends.side.hosts, "image", lambda host, boot, uuid: source())
    monkeypatch.setattr(ends.agent, "open", lambda question: Outgoing(source()))


def streams(ends: Ends) -> Iterator[Iterator[bytes]]:
    """One to the host, one from it."""
    yield ends.link.image(HOST, "boot-1", UUID)
    yield ends.asks.read(HOST, ASKS)


def test_all_bytes_come_in_order(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [bytes([number]) * (number * 50_000 + 1) for number in range(40)]
    serve(ends, monkeypatch, lambda: pieces(*some))
    for stream in streams(ends):
        assert b"".join(stream) == b"".join(some)


def test_what_is_raised_at_the_beginning(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def source() -> Iterator[bytes]:
        raise errors.ImageMissing(image="i", why="Glance has it no longer")

    serve(ends, monkeypatch, source)
    with pytest.raises(errors.ImageMissing, match="Glance has it no longer"):
        ends.link.image(HOST, "boot-1", UUID)


def test_what_is_raised_between_pieces(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    error = errors.Unanswered(what="Glance", why="it broke off")
    serve(ends, monkeypatch, lambda: pieces(b"some", error=error))
    for stream in streams(ends):
        assert next(stream) == b"some"
        with pytest.raises(errors.Unanswered, match="Glance does not answer: it broke off"):
            next(stream)


def test_who_reads_no_more_ends_the_source(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Semaphore(0)

    def source() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.release()

    serve(ends, monkeypatch, source)
    for stream in streams(ends):
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert ended.acquire(timeout=30)


def test_a_connection_that_breaks_is_no_end() -> None:
    ours, theirs = socket.socketpair()
    incoming = Incoming(ours)
    with theirs:
        theirs.sendall(b"P\0\0\0\4some" + b"P\0\0\0\4so")
    assert next(incoming) == b"some"
    with pytest.raises(errors.Unanswered, match="it broke off"):
        next(incoming)


def test_another_protocol_is_none() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(errors.Unanswered, match="another protocol"):
        theirs.sendall(b"HTTP/1.1 200 OK")
        next(Incoming(ours))


@given(st.lists(st.binary(min_size=1, max_size=100)), st.integers(min_value=0, max_value=50))
def test_frames(some: list[bytes], early: int) -> None:
    ours, theirs = socket.socketpair()
    sending = threading.Thread(target=send, args=(theirs, iter(some)))
    sending.start()
    begin = ours.recv(early) if early else b""
    with Incoming(ours, begin) as incoming:
        assert [*incoming] == some
    sending.join(30)
    assert not sending.is_alive()


def test_large_pieces_are_parted() -> None:
    ours, theirs = socket.socketpair()
    Outgoing(iter([bytes(MOST + 1)])).join(theirs)
    assert list(map(len, Incoming(ours))) == [MOST, 1]


def test_a_bug_is_told_without_its_text() -> None:
    ours, theirs = socket.socketpair()
    Outgoing(pieces(error=ZeroDivisionError("secret"))).join(theirs)
    with pytest.raises(errors.Error, match=r"^Unexpected error$"):
        next(Incoming(ours))
