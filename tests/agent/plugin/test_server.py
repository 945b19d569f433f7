"""The plugin's socket: many callers, kept connections, an end that finishes what has begun."""

import http.client
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import errors
from dolium.agent.plugin.server import MOST, Server


class Caller(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("plugin")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, body: bytes = b"") -> tuple[int, bytes]:
        self.request("POST", f"/{method}", body)
        answer = self.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dol") as folder:
        yield Path(folder) / "plugins" / "dolium-x.sock"


def echo(method: str, body: bytes) -> tuple[int, bytes]:
    return 200, f"{method} {body.decode()}".encode()


def test_calls_on_one_connection(path: Path) -> None:
    server = Server(path, echo)
    server.start()
    caller = Caller(path)
    assert caller.call("A.B", b"{}") == (200, b"A.B {}")
    connected = caller.sock
    assert caller.call("C.D") == (200, b"C.D ")
    assert caller.sock is connected, "kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    caller.close()
    server.stop()
    assert not path.exists()


def test_a_stop_lets_calls_end(path: Path) -> None:
    began, may_end, answers = threading.Event(), threading.Event(), []

    def slow(method: str, body: bytes) -> tuple[int, bytes]:
        began.set()
        assert may_end.wait(30)
        return 200, b"done"

    server = Server(path, slow)
    server.start()
    idle = Caller(path)
    idle.connect()

    def work() -> None:
        with Caller(path) as caller:
            answers.append(caller.call("A.B", b"{}"))

    call = threading.Thread(target=work)
    call.start()
    assert began.wait(30)
    stop = threading.Thread(target=server.stop)
    stop.start()
    idle.sock.settimeout(30)
    assert idle.sock.recv(1) == b"", "who waits for nothing is let go at once"
    assert not answers
    may_end.set()
    stop.join(30)
    call.join(30)
    assert answers == [(200, b"done")]
    idle.close()


def test_many_callers(path: Path) -> None:
    server = Server(path, echo)
    server.start()
    answers = []

    def work(number: int) -> None:
        caller = Caller(path)
        for turn in range(20):
            answers.append(caller.call("A.B", f"{number}.{turn}".encode()))  # noqa: PERF401
        caller.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    expected = {f"A.B {n}.{t}".encode() for n in range(8) for t in range(20)}
    assert {body for _, body in answers} == expected
    server.stop()


def test_a_stale_socket_is_replaced_and_a_living_one_respected(path: Path) -> None:
    path.parent.mkdir(parents=True)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    server = Server(path, echo)
    server.start()
    with pytest.raises(errors.StartError):
        Server(path, echo).start()
    caller = Caller(path)
    assert caller.call("A.B")[0] == 200
    caller.close()
    server.stop()
    assert os.listdir(path.parent) == []


def test_strangers_are_not_heard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dolium.agent.plugin.server.os.geteuid", lambda: 4242)
    monkeypatch.setattr("dolium.agent.plugin.server.struct.unpack", lambda *_: (1, 1000, 1000))
    server = Server(path, echo)
    server.start()
    with Caller(path) as caller, pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        caller.call("A.B")
    server.stop()


def test_nonsense_ends_the_connection_only(path: Path) -> None:
    server = Server(path, echo)
    server.start()
    for nonsense in (b"\0\0\0\r\n\r\n", b"POST /A HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(path))
            stranger.sendall(nonsense)
            stranger.settimeout(30)
            assert stranger.recv(100) == b""
    with Caller(path) as caller:
        caller.request("GET", "/A.B")
        assert caller.getresponse().status == 404
    with Caller(path) as caller:
        caller.putrequest("POST", "/A.B")
        caller.putheader("Content-Length", str(MOST + 1))
        caller.endheaders()
        assert caller.getresponse().status == 413
    server.stop()
