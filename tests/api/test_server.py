"""The server on a real socket."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dolium import conf, errors
from dolium.api.forms import MOST_BODY
from dolium.api.server import MOST_HEADERS, Server
from dolium.api.streams import Patient, Streams
from dolium.api.zun import events
from dolium.link.base import Hosts
from dolium.link.stream import Incoming
from dolium.model.clock import SystemClock
from dolium.model.wish import Answer, Question
from dolium.store import upgrade
from dolium.store.sqlite import Sqlite
from tests.control import world as worlds
from tests.stories.cloud import Cloud

JSON = "application/json"


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server(Cloud().app, port=0, threads=2)
    started.start()
    yield started
    started.stop()


def _ask(server: Server, verb: str, path: str, **more: object) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(verb, path, **more)  # type: ignore[arg-type]
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


def test_it_answers_on_loopback(server: Server) -> None:
    assert _ask(server, "GET", "/healthcheck")[0] == 200
    status, body = _ask(server, "GET", "/v1/containers", headers={"X-Auth-Token": "alice"})
    assert (status, body) == (200, b'{"containers":[],"next":null}')


def test_links_carry_the_address_the_client_used(server: Server) -> None:
    status, body = _ask(server, "GET", "/")
    assert status == 200
    assert f"http://127.0.0.1:{server.port}/v1/".encode() in body


def test_links_carry_the_public_address_where_there_is_one() -> None:
    api = conf.Api(public_url="https://cloud.example/containers/v1")
    server = Server(Cloud(api=api).app, port=0, threads=2)
    server.start()
    assert b'"https://cloud.example/containers/v1/"' in _ask(server, "GET", "/")[1]
    server.stop()


def test_one_connection_serves_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/healthcheck")
        assert b"true" in connection.getresponse().read()
    local = connection.sock.getsockname()
    connection.request("DELETE", "/v1/containers/nosuch", headers={"X-Auth-Token": "alice"})
    reply = connection.getresponse()
    assert (reply.status, bool(reply.read())) == (404, True)
    assert connection.sock.getsockname() == local
    connection.close()


def test_a_body_in_chunks_is_read(server: Server) -> None:
    status, _ = _ask(
        server,
        "POST",
        "/v1/containers",
        body=iter([b'{"image":', b'"cirros"}']),
        headers={"X-Auth-Token": "alice", "Content-Type": "application/json"},
        encode_chunked=True,
    )
    assert status == 202


def test_a_body_in_chunks_that_are_none_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        head = "POST /v1/containers HTTP/1.1\r\nHost: d\r\nX-Auth-Token: alice\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(f"{head}no number\r\n{{}}\r\n0\r\n\r\n".encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 400")


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    second = Server(Cloud().app, port=server.port)
    with pytest.raises(errors.StartError, match=f"port {server.port} of 127.0.0.1"):
        second.start()
    assert _ask(server, "GET", "/healthcheck")[0] == 200


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(errors.StartError, match=r"no address 192\.0\.2\.1"):
        Server(Cloud().app, listen="192.0.2.1", port=0).start()


def test_a_stopped_server_frees_its_port(server: Server) -> None:
    port = server.port
    server.stop()
    again = Server(Cloud().app, port=port)
    again.start()
    assert _ask(again, "GET", "/healthcheck")[0] == 200
    again.stop()


def test_endless_headers_and_bodies_are_refused(server: Server) -> None:
    long = {"X-Auth-Token": "a" * (MOST_HEADERS + 1)}
    assert _ask(server, "GET", "/v1/containers", headers=long)[0] == 413
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        head = "POST /v1/containers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: alice\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {MOST_BODY + 1}\r\n\r\n"
        raw.sendall(head.encode())
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that many may watch; its store is for many threads."""
    upgrade.upgrade(tmp_path / "db")
    store = Sqlite(tmp_path / "db")
    monkeypatch.setattr(worlds, "make_store", lambda: store)
    monkeypatch.setattr(worlds, "TickingClock", SystemClock)
    streams = Streams(5)
    started = Server(Cloud(streams=streams).app, port=0, threads=2, streams=streams)
    started.start()
    yield started
    started.stop()
    store.close()


class Watcher:
    """Reads events of alice's project."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self._connection.request("GET", "/v1/events", headers={"X-Auth-Token": "alice"})
        self.reply = self._connection.getresponse()

    def next(self) -> list[bytes]:
        """The lines of the next event that is for somebody."""
        lines: list[bytes] = []
        while not lines or lines == [b":"]:
            lines = []
            while (line := self.reply.readline()) != b"\n":
                assert line, "the answer has ended"
                lines.append(line.strip())
        return lines

    def close(self) -> None:
        self.reply.close()
        self._connection.close()


def test_many_watch_and_all_others_are_served(watched: Server) -> None:
    watchers = [Watcher(watched) for _ in range(5)]
    for watcher in watchers:
        assert watcher.reply.status == 200
        assert watcher.next()[:2] == [b"id: 0", b"event: begin"]
    token = {"X-Auth-Token": "alice"}
    status, body = _ask(watched, "GET", "/v1/events", headers=token)
    assert (status, b"All 5 watchers" in body) == (503, True)
    create = {"body": '{"image": "cirros"}', "headers": token | {"Content-Type": JSON}}
    assert _ask(watched, "POST", "/v1/containers", **create)[0] == 202
    for watcher in watchers:
        number, kind, data = watcher.next()
        assert (number, kind, b'"what":"created"' in data) == (b"id: 1", b"event: container", True)
    watched.stop()
    for watcher in watchers:
        assert watcher.reply.read().strip(b":\n") == b""
        watcher.close()


def test_who_leaves_makes_room(watched: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ALIVE_S", 0.01)
    for _ in range(20):
        deadline = time.monotonic() + 20
        while (watcher := Watcher(watched)).reply.status == 503 and time.monotonic() < deadline:
            watcher.close()
            time.sleep(0.05)
        assert watcher.reply.status == 200
        watcher.next()
        watcher.close()


class Slow(Hosts):
    """A host that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        self.asked.release()
        assert self.go.wait(20)
        return Answer()

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        raise errors.HostDown(host=host)

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        raise errors.HostDown(host=host)


def test_who_waits_for_a_host_is_in_nobodys_way() -> None:
    streams, slow = Streams(5), Slow()
    link = Patient(slow, streams)

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/ask":
            link.ask("h", Question(uuid="u", what="execute"))
        start("200 OK", [])
        return [b"done"]

    server = Server(app, port=0, threads=2, streams=streams)
    server.start()
    try:
        with ThreadPoolExecutor(4) as beside:
            waiting = [beside.submit(_ask, server, "GET", "/ask") for _ in range(4)]
            try:
                for _ in waiting:
                    assert slow.asked.acquire(timeout=10)
                assert _ask(server, "GET", "/other")[0] == 200
            finally:
                slow.go.set()
            assert [each.result()[0] for each in waiting] == [200] * 4
    finally:
        server.stop()
