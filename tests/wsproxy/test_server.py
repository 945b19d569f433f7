"""The websocket proxy on real sockets; the consoles behind it are socket pairs of the test's."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from dolium import errors
from dolium.link import certificates
from dolium.link.https_control import Own
from dolium.model.clock import SystemClock
from dolium.model.metric import CONSOLES_ASKED, Meter
from dolium.wsproxy.server import Options, Server

PATIENCE = 30.0
UUID = "11111111-1111-4111-8111-111111111111"
EXEC = "ab" * 32
URL = f"/?token=good-token&uuid={UUID}&exec_id={EXEC}"


class Desk:
    """Opens consoles; `inside` is the other side of the newest."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.error: Exception | None = None
        self.may_open = threading.Event()
        self.may_open.set()
        self.inside: socket.socket
        self.insides: list[socket.socket] = []

    def open(self, token: str, uuid: str, exec_id: str) -> socket.socket:
        self.asked.append((token, uuid, exec_id))
        assert self.may_open.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        console, self.inside = socket.socketpair()
        self.inside.settimeout(PATIENCE)
        self.insides.append(self.inside)
        return console


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    for inside in made.insides:
        inside.close()


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def server(desk: Desk, meter: Meter) -> Iterator[Server]:
    made = Server(
        desk.open, Options(port=0, consoles=2, allowed_origins=["page.example"]), None, meter
    )
    made.start()
    yield made
    made.stop()


def url(server: Server, path: str = URL) -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


def eventually(what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def refusal(server: Server, path: str = URL, **headers: str) -> tuple[int, str]:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url(server, path), additional_headers=headers),
    ):
        pass
    response = refused.value.response
    return response.status_code, bytes(response.body).decode()


def closed(client: ClientConnection) -> tuple[int, str]:
    """How it ends, after everything that came before was read."""
    with pytest.raises(ConnectionClosed) as ended:
        while True:
            client.recv(PATIENCE)
    assert ended.value.rcvd
    return ended.value.rcvd.code, ended.value.rcvd.reason


def test_bytes_go_both_ways_in_binary_frames(server: Server, desk: Desk) -> None:
    with connect(
        url(server), subprotocols=[Subprotocol("base64"), Subprotocol("binary")]
    ) as client:
        assert client.subprotocol == "binary"
        assert desk.asked == [("good-token", UUID, EXEC)]
        client.send(b"\x03\x00\xff")
        assert desk.inside.recv(100) == b"\x03\x00\xff"
        client.send("typed as text ü")  # some clients send nothing else
        assert desk.inside.recv(100).decode() == "typed as text ü"
        desk.inside.sendall(b"\x1b[6n\xff")
        assert client.recv(PATIENCE) == b"\x1b[6n\xff"
        large = bytes(range(256)) * 4096
        sending = threading.Thread(target=desk.inside.sendall, args=(large,))
        sending.start()
        got = b""
        while len(got) < len(large):
            piece = client.recv(PATIENCE)
            assert isinstance(piece, bytes)
            got += piece
        sending.join(PATIENCE)
        assert got == large


@pytest.mark.parametrize("offered", [None, ["base64"], ["chat", "soap"]])
def test_a_client_without_the_sub_protocol_works_too(
    server: Server, desk: Desk, offered: list[str] | None
) -> None:
    protocols = [Subprotocol(name) for name in offered] if offered else None
    with connect(url(server), subprotocols=protocols) as client:
        assert client.subprotocol is None
        desk.inside.sendall(b"shown")
        assert client.recv(PATIENCE) == b"shown"


def test_the_end_of_the_process_is_told(server: Server, desk: Desk) -> None:
    with connect(url(server)) as client:
        desk.inside.sendall(b"last words")
        desk.inside.close()
        assert client.recv(PATIENCE) == b"last words"
        assert closed(client) == (1000, "Target closed")


@pytest.mark.parametrize("orderly", [True, False])
def test_a_client_that_leaves_closes_its_console(server: Server, desk: Desk, orderly: bool) -> None:
    with connect(url(server)) as client:
        if not orderly:
            client.socket.shutdown(socket.SHUT_RDWR)
    assert desk.inside.recv(100) == b""
    eventually(lambda: server.figures()[0].value == 0)


@pytest.mark.parametrize(
    ("error", "status", "result"),
    [
        (errors.BadToken(), 401, "refused"),
        (errors.NotFound(kind="Container", id=UUID), 404, "refused"),
        (errors.NoConsole(why="Exec was started before"), 404, "refused"),
        (errors.Absent(what="Container"), 404, "refused"),
        (errors.WrongState(verb="attach", id=UUID, state="Stopped"), 409, "refused"),
        (errors.HostDown(host="h1"), 503, "failed"),
        (errors.Unanswered(what="Docker Engine", why="it is down"), 503, "failed"),
    ],
)
def test_a_handshake_is_refused_with_a_reason(
    server: Server, desk: Desk, meter: Meter, error: errors.Error, status: int, result: str
) -> None:
    desk.error = error
    assert refusal(server) == (status, f"{error}\n")
    assert meter.counts(CONSOLES_ASKED) == {(result,): 1.0}


def test_a_bug_is_no_reason_to_tell(
    server: Server, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.error = ZeroDivisionError("secret")
    status, told = refusal(server)
    assert (status, told) == (500, "Unexpected error\n")
    assert "a bug" in caplog.text and "good-token" not in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/?uuid={UUID}",
        "/?token=good-token",
        f"/?token=&uuid={UUID}",
        f"/?token=good%00token&uuid={UUID}",
        f"/?token=good-token&uuid={UUID}%00",
        f"/?token=good-token&uuid={UUID}&exec_id=x",
        f"/?token={'x' * 200}&uuid={UUID}",
    ],
)
def test_an_address_that_nobody_was_told(server: Server, desk: Desk, path: str) -> None:
    assert refusal(server, path)[0] == 401
    assert desk.asked == []


def test_pages_of_others_are_refused_before_the_token_is_looked_at(
    server: Server, desk: Desk
) -> None:
    assert refusal(server, Origin="http://evil.example")[0] == 403
    assert desk.asked == []
    with connect(url(server), origin=Origin("http://page.example")):
        pass
    with connect(url(server), origin=Origin(f"http://127.0.0.1:{server.port}")):
        pass


def test_headers_that_come_twice_are_no_bug(server: Server, desk: Desk) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(
            f"GET //[{URL} HTTP/1.1\r\nHost: x\r\nHost: y\r\nOrigin: http://x\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 403 ")
    assert desk.asked == []


def test_what_is_no_websocket_opens_nothing(server: Server, desk: Desk) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    plain.request("GET", URL)
    assert plain.getresponse().status == 426
    plain.close()
    plain.request("GET", "/healthcheck")
    answer = plain.getresponse()
    assert (answer.status, answer.read()) == (200, b"OK\n")
    plain.close()
    assert desk.asked == []


def test_there_are_only_so_many(server: Server, desk: Desk) -> None:
    with connect(url(server)), connect(url(server)):
        assert refusal(server)[0] == 503
        assert len(desk.asked) == 2
    eventually(lambda: server.figures()[0].value == 0)
    with connect(url(server)):
        pass


def test_who_does_not_wait_leaves_no_console(server: Server, desk: Desk) -> None:
    desk.may_open.clear()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            f"GET {URL} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "\r\n".encode()
        )
        eventually(lambda: desk.asked)
    desk.may_open.set()
    eventually(lambda: hasattr(desk, "inside"))
    assert desk.inside.recv(100) == b""


def test_a_stop_closes_all(server: Server, desk: Desk) -> None:
    with connect(url(server)) as client:
        server.stop()
        assert closed(client)[0] == 1001
    assert desk.inside.recv(100) == b""


def test_a_port_that_is_taken(server: Server, desk: Desk) -> None:
    other = Server(desk.open, Options(port=server.port))
    with pytest.raises(errors.StartError, match=r"Somebody else listens.*\[wsproxy\] port"):
        other.start()
    other.stop()


def test_tls_by_the_certificate_that_is_current(desk: Desk, tmp_path: Path) -> None:
    clock = SystemClock()
    certificates.found(tmp_path / "ca", clock.now())
    own = Own(tmp_path / "ca", "proxy", clock)
    context = own.web(["127.0.0.1", "localhost"])
    server = Server(desk.open, Options(port=0, base_url="wss://localhost/"), context)
    server.start()
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca" / certificates.CERTIFICATE))

    def certificate(host: str) -> bytes:
        with connect(f"wss://{host}:{server.port}{URL}", ssl=trusting) as client:
            desk.inside.sendall(b"shown")
            assert client.recv(PATIENCE) == b"shown"
            assert isinstance(client.socket, ssl.SSLSocket)
            return client.socket.getpeercert(binary_form=True) or b""

    try:
        first = certificate("localhost")
        assert certificate("127.0.0.1") == first  # no name is told for an address
        own.web(["127.0.0.1", "localhost"])
        assert certificate("localhost") != first
    finally:
        server.stop()
