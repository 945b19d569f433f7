"""The client of the engine's socket against servers with bad manners."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from dolium import errors
from dolium.drivers.engine.docker_socket import Body, Client, Demux
from tests import engines
from tests.drivers.engine.stub import Handler, Stub, stub


class Name(Struct):
    name: str


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Stub]:
    with stub(tmp_path, lambda handler: handler.say(200, b'{"name": "wren"}')) as server:
        yield server


@pytest.fixture
def client(server: Stub) -> Iterator[Client]:
    client = Client(server.path, timeout_s=5)
    yield client
    client.close()


def test_answers_are_typed(client: Client) -> None:
    assert client.ask("GET", "/x", Name) == Name("wren")


def test_nonsense_is_no_answer(client: Client, server: Stub) -> None:
    server.answer = lambda handler: handler.say(200, b"<html>")
    with pytest.raises(errors.Unanswered, match="unreadable"):
        client.ask("GET", "/x", Name)


@pytest.mark.parametrize(
    ("low", "high", "spoken"),
    [("1.12", "1.41", "1.41"), ("1.44", "1.52", "1.44"), ("1.12", "1.40", "1.40")],
)
def test_version_is_ours_or_the_nearest(
    client: Client, server: Stub, low: str, high: str, spoken: str
) -> None:
    server.version = f'{{"ApiVersion": "{high}", "MinAPIVersion": "{low}"}}'.encode()
    client.raw("GET", "/x")
    assert server.asked == [f"GET /v{spoken}/x"]


def test_connections_are_kept(client: Client, server: Stub) -> None:
    seen: set[int] = set()

    def answer(handler: Handler) -> None:
        seen.add(id(handler))
        handler.say(200)

    server.answer = answer
    for _ in range(5):
        client.raw("GET", "/x")
    assert len(seen) == 1


def test_nothing_to_do_is_success(client: Client, server: Stub) -> None:
    server.answer = lambda handler: handler.say(304)
    client.raw("POST", "/x")


def test_a_redirect_is_not_followed(client: Client, server: Stub) -> None:
    server.answer = lambda handler: handler.say(301)
    with pytest.raises(errors.Refused):
        client.raw("GET", "/images/../containers/json")


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("POST", 1), ("DELETE", 1)])
def test_a_kept_connection_that_drops(
    client: Client, server: Stub, method: str, asked: int
) -> None:
    client.raw("GET", "/first")
    server.answer = lambda handler: handler.hang_up()
    with pytest.raises(errors.Unanswered):
        client.raw(method, "/x")
    assert len(server.asked) - 1 == asked


def test_what_was_closed_while_idle_is_not_used(client: Client, server: Stub) -> None:
    def answer_and_go(handler: Handler) -> None:
        handler.say(200)
        handler.hang_up()

    server.answer = answer_and_go
    for _ in range(3):
        client.raw("POST", "/x")
        engines.wait(lambda: client._idle[0].ready(0), "it has hung up")
    assert len(server.asked) == 3


def test_half_an_answer(client: Client, server: Stub) -> None:
    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.hang_up()

    server.answer = half
    with pytest.raises(errors.Unanswered):
        client.raw("GET", "/x")
    assert len(server.asked) == 1


def test_time_out(client: Client, server: Stub) -> None:
    never = threading.Event()

    def answer(handler: Handler) -> None:
        never.wait(10)
        handler.hang_up()

    server.answer = answer
    before = time.monotonic()
    with pytest.raises(errors.Unanswered, match="in time"):
        client.raw("GET", "/x", timeout_s=0.3)
    assert time.monotonic() - before < 5
    engines.wait(lambda: bool(server.asked), "the question has come")
    assert len(server.asked) == 1
    never.set()


def test_nobody_listens(tmp_path: Path) -> None:
    client = Client(str(tmp_path / "nosuch"))
    with pytest.raises(errors.Unanswered, match="socket is not there"):
        client.raw("GET", "/x")
    with stub(tmp_path, lambda handler: handler.say(200)) as server:
        path = server.path
    with pytest.raises(errors.Unanswered, match="refused"):
        Client(path).raw("GET", "/x")


def test_a_new_engine_is_asked_for_its_version_again(tmp_path: Path) -> None:
    client = Client(str(tmp_path / "s"))
    for version in ("1.41", "1.44"):
        with stub(tmp_path, lambda handler: handler.say(200)) as server:
            server.version = f'{{"ApiVersion": "1.60", "MinAPIVersion": "{version}"}}'.encode()
            client.raw("GET", "/x")
            assert server.asked == [f"GET /v{version}/x"]
        client.close()
        with pytest.raises(errors.Unanswered):
            client.raw("GET", "/x")


# --- streams ---------------------------------------------------------------------------------


def test_stream_of_chunks(client: Client, server: Stub) -> None:
    go = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b"one\ntwo\nthr")
        go.wait(10)
        handler.chunk(b"ee\n")
        handler.chunk(b"")

    server.answer = answer
    with client.stream("GET", "/x") as stream:
        assert stream.ready(5)
        assert stream.line() == b"one\n"
        assert stream.ready(0)  # in the reader's buffer, where poll can't see it
        assert stream.line() == b"two\n"
        go.set()
        assert stream.line() == b"three\n"
        assert stream.ready(5)
        assert stream.line() == b""


def test_stream_that_keeps_silent(client: Client, server: Stub) -> None:
    never = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b"one\n")
        never.wait(10)

    server.answer = answer
    with client.stream("GET", "/x") as stream:
        before = time.monotonic()
        assert stream.ready(5)
        assert stream.line() == b"one\n"
        assert not stream.ready(0.2)
        assert not stream.ready(0.2)
        assert time.monotonic() - before < 5
    never.set()


def test_stream_without_length_ends_with_the_connection(client: Client, server: Stub) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"raw")
        handler.hang_up()

    server.answer = answer
    with client.stream("POST", "/x", body={}) as stream:
        assert stream.read() == b"raw"
        assert stream.read() == b""


def test_stream_that_is_refused(client: Client, server: Stub) -> None:
    server.answer = lambda handler: handler.say(404, b'{"message": "No such exec: e"}')
    with client.stream("POST", "/x") as stream, pytest.raises(errors.Absent, match="Exec e"):
        stream.read()


def test_close_ends_a_stream_that_somebody_reads(client: Client, server: Stub) -> None:
    never = threading.Event()

    def answer(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b"one\n")
        never.wait(30)

    server.answer = answer
    got: list[bytes] = []

    def read() -> None:
        with client.stream("GET", "/x") as stream:
            while line := stream.line():
                got.append(line)

    thread = threading.Thread(target=read)
    thread.start()
    while not got:
        time.sleep(0.01)
    client.close()
    thread.join(10)
    assert not thread.is_alive()
    never.set()


def test_stream_that_breaks(client: Client, server: Stub) -> None:
    def answer(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b"one\ntw")
        handler.hang_up()

    server.answer = answer
    with client.stream("GET", "/x") as stream:
        assert stream.line() == b"one\n"
        with pytest.raises(errors.Unanswered):
            stream.line()


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_body_in_chunks(size: int) -> None:
    wire = b"5\r\nhello\r\nA;x=y\r\n" + b"0\r\n\r\n12345" + b"\r\n0\r\n\r\n"
    body = Body(None, chunked=True)
    carried = b"".join(body.feed(wire[at : at + size]) for at in range(0, len(wire), size))
    assert carried == b"hello" + b"0\r\n\r\n12345"
    assert body.over


def test_body_of_a_length() -> None:
    body = Body(5, chunked=False)
    assert (body.feed(b"hel"), body.over) == (b"hel", False)
    assert (body.feed(b"lo"), body.over) == (b"lo", True)
    assert Body(0, chunked=False).over
    with pytest.raises(ConnectionError):
        Body(5, chunked=False).feed(b"")


def test_body_until_the_end() -> None:
    body = Body(None, chunked=False)
    assert body.feed(b"hello") == b"hello"
    assert not body.over
    assert body.feed(b"") == b""
    assert body.over


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_demux_in_pieces(size: int) -> None:
    data = b"".join(
        bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text
        for stream, text in [(1, b"hello"), (2, b""), (1, b"x" * 300)]
    )
    demux = Demux()
    frames = []
    for start in range(0, len(data), size):
        frames += demux.feed(data[start : start + size])
    assert frames == [(1, b"hello"), (2, b""), (1, b"x" * 300)]
