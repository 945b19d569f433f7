"""The https link when processes come and go, clients misbehave and room runs out."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dolium import errors
from dolium.link import https_agent, tls
from dolium.link.endpoints import Endpoint, Endpoints
from dolium.link.https import HttpsControl, place, towards
from dolium.link.https_agent import HostEnd
from dolium.link.https_client import Wire
from dolium.link.https_control import THREADS
from dolium.link.peers import Peers
from dolium.link.wire import CROWDED, Nothing, Pull
from dolium.model.host import Welcome
from dolium.model.metric import HINTS, Meter
from dolium.model.wish import Answer, Page, Question
from dolium.store import hosts
from tests.link.ends import PATIENCE, Control, Echo, beside, eventually, hello
from tests.link.test_trust import host_pems, wire
from tests.ports import free_port

HOST = "host1"


def joined(control: Control) -> HostEnd:
    control.enrol(HOST)
    end = control.join(HOST)
    end.control.hello(hello(HOST, "boot"))
    return end


def poll(control: Control, end: HostEnd, pages: list[Page]) -> threading.Thread:
    """A host that waits until something happens."""
    thread = beside(lambda: pages.append(end.control.wishes(HOST, "boot", 1, 25.0)))
    eventually(lambda: f"host:{HOST}" in control.store.hints._waiting)
    return thread


# --- coming and going ----------------------------------------------------------------------------


def test_a_control_process_that_starts_again_is_found_on_kept_connections(control: Control) -> None:
    control.end.stop()
    port = free_port()
    control.serve(port=port)
    end = joined(control)
    control.end.stop()
    with pytest.raises(errors.Unanswered):
        end.control.hello(hello(HOST, "boot"))
    control.serve(port=port)
    assert end.control.hello(hello(HOST, "boot")).epoch == 1
    control.end.stop()
    control.serve(port=port)
    assert end.control.hello(hello(HOST, "boot")).epoch == 1


def test_another_control_process_is_asked_when_one_is_down(control: Control) -> None:
    control.enrol(HOST)
    identity = tls.Identity(host_pems(control, control.ca, HOST, control.clock.now()))
    for seed in range(4):  # whichever comes first
        link = HttpsControl(
            HOST,
            [f"https://127.0.0.1:{free_port()}", control.url],
            identity,
            random.Random(seed),
            control.clock,
            threading.Event(),
            lambda address: ("", 0),
        )
        control.leaving.append(link.close)
        assert link.hello(hello(HOST, "boot")).deployment == "deployment"


def test_an_agent_that_starts_again_is_asked_at_its_new_place(control: Control) -> None:
    question = Question(what="logs", uuid="u")
    for boot in ("one", "two"):
        if boot == "one":
            control.enrol(HOST)
        end = control.join(HOST)
        end.serve(Echo())
        end.control.hello(hello(HOST, boot))
        assert control.link.ask(HOST, question) == Answer(value="u")
        end.stop()


def test_an_agent_that_is_older_than_consoles_says_so(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.enrol(HOST)
    end = control.join(HOST)
    served = Endpoints

    def older(table: dict[str, Endpoint], *rest: Any) -> Endpoints:
        del table["console"]
        return served(table, *rest)

    monkeypatch.setattr(https_agent, "Endpoints", older)
    end.serve(Echo())
    end.control.hello(hello(HOST, "boot"))
    with pytest.raises(errors.NotOffered, match=f"The agent of {HOST} does not offer consoles"):
        control.link.open(HOST, Question(what="attach", uuid="u"))


def test_a_host_opens_no_console_of_another(control: Control) -> None:
    control.enrol(HOST)
    control.enrol("other")
    end, other = control.join(HOST), control.join("other")
    end.serve(Echo())
    thief = Wire("127.0.0.1", end.port, other._identity.client, lambda peer: True)
    with pytest.raises(errors.Untrusted, match="not for a host"):
        thief.upgrade("console", msgspec.json.encode(Question(what="attach", uuid="u")), 10.0)


def test_waiting_polls_go_home_when_the_server_stops(control: Control) -> None:
    pages: list[Page] = []
    waiting = poll(control, joined(control), pages)
    control.end.stop()
    waiting.join(20)  # the poll would have waited 25
    assert pages == [Page(revision=1)]
    control.serve()


# --- room ----------------------------------------------------------------------------------------


def test_a_poll_without_room_is_answered_early_and_comes_back_later(tmp_path: Path) -> None:
    control = Control(tmp_path, polls=0)
    control.enrol(HOST)
    pems = host_pems(control, control.ca, HOST, control.clock.now())
    raw = wire(control, pems)
    raw.call("hello", msgspec.json.encode(hello(HOST, "boot")), 10.0)
    pull = Pull(host=HOST, boot="boot", since=1, wait_s=25.0)
    body, headers = raw.call("wishes", msgspec.json.encode(pull), 20.0)
    assert msgspec.json.decode(body, type=Page) == Page(revision=1)
    assert headers[CROWDED] == "2"
    end = control.join(HOST)
    begun = time.monotonic()
    assert end.control.wishes(HOST, "boot", 1, 25.0) == Page(revision=1)
    assert time.monotonic() - begun >= 1.0  # it waited by itself
    control.stop()


def test_more_polls_than_threads_hold_up_nobody(control: Control) -> None:
    names = [f"h{number}" for number in range(40)]
    pages: list[Page] = []
    threads = []
    for name in names:
        control.enrolment._known[name] = 1
        each = wire(control, host_pems(control, control.ca, name, control.clock.now()))
        each.call("hello", msgspec.json.encode(hello(name, "boot")), 10.0)
        pull = msgspec.json.encode(Pull(host=name, boot="boot", since=1, wait_s=25.0))

        def wait(each: Wire = each, pull: bytes = pull) -> None:
            body, _ = each.call("wishes", pull, 40.0)
            pages.append(msgspec.json.decode(body, type=Page))

        threads.append(beside(wait))
    eventually(lambda: len(control.store.hints._waiting) == len(names))
    assert wire(control).call("authority", b"{}", 10.0)
    control.store.write(lambda tx: hosts.stamp(tx, "h7"))
    eventually(lambda: pages)
    assert [page.revision for page in pages] == [2]
    for name in names:
        control.store.write(lambda tx, name=name: hosts.stamp(tx, name))  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE)
    assert len(pages) == len(names)


# --- clients that misbehave ----------------------------------------------------------------------


def test_who_connects_and_says_nothing_holds_up_nobody(control: Control) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(cadata=control.own.ca.trusted)
    with contextlib.ExitStack() as stack:
        for _ in range(3 * THREADS):  # half of them not even in TLS
            at = ("127.0.0.1", control.end.port)
            stack.enter_context(socket.create_connection(at))
            raw = stack.enter_context(socket.create_connection(at))
            stack.enter_context(bare.wrap_socket(raw))
        wire(control).call("authority", b"{}", 20.0)  # one after the other they would take minutes


def test_who_speaks_without_tls_or_an_old_one_gets_nothing(control: Control) -> None:
    with socket.create_connection(("127.0.0.1", control.end.port), timeout=10) as plain:
        plain.sendall(b"POST /link/v1/authority HTTP/1.1\r\n\r\n")
        try:
            assert b"HTTP" not in plain.recv(1000)
        except ConnectionError:
            pass
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", control.end.port), timeout=10) as bare,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(bare)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"host": 1}', b"\xff", b"{" * 100_000])
def test_what_can_not_be_read_is_said(control: Control, body: bytes) -> None:
    control.enrol(HOST)
    raw = wire(control, host_pems(control, control.ca, HOST, control.clock.now()))
    with pytest.raises(errors.Malformed):
        raw.call("post", body, 10.0)
    raw.call("hello", msgspec.json.encode(hello(HOST, "boot")), 10.0)


def test_unknown_calls_and_bugs_are_answered(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    end = joined(control)
    with pytest.raises(errors.NotFound):
        wire(control).call("no-such", b"{}", 10.0)
    monkeypatch.setattr(control.hosts, "hello", lambda hello: 1 / 0)
    with pytest.raises(errors.Error) as told:
        end.control.hello(hello(HOST, "boot"))
    assert type(told.value) is errors.Error
    assert "ZeroDivisionError" in caplog.text


def test_fields_from_the_future_are_ignored(control: Control) -> None:
    control.enrol(HOST)
    raw = wire(control, host_pems(control, control.ca, HOST, control.clock.now()))
    message = msgspec.to_builtins(hello(HOST, "boot")) | {"new": 1}
    body, _ = raw.call("hello", msgspec.json.encode(message), 10.0)
    assert msgspec.json.decode(body, type=Welcome).epoch == 1


class Fickle:
    """A server that answers the first request of the first connection and ends what follows."""

    def __init__(self, control: Control) -> None:
        self._context = control.own.identity.server()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests = 0
        beside(self._serve)

    def _serve(self) -> None:
        while True:
            raw, _ = self._socket.accept()
            with self._context.wrap_socket(raw, server_side=True) as connection:
                while self._read(connection) and self.requests == 1:
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
                    connection.sendall(answer)

    def _read(self, connection: ssl.SSLSocket) -> bool:
        read = connection.recv(65536)
        while read and not read.endswith(b"{}"):
            read += connection.recv(65536)
        self.requests += bool(read)
        return bool(read)


@pytest.mark.parametrize("again, requests", [(False, 2), (True, 3)])
def test_what_must_not_be_done_twice_is_not_sent_twice(
    control: Control, again: bool, requests: int
) -> None:
    server = Fickle(control)
    one = Wire("127.0.0.1", server.port, control.own.identity.client, lambda peer: True)
    message = msgspec.json.encode(Nothing())
    one.call("ask", message, 10.0, again=again)
    with pytest.raises(errors.Unanswered):
        one.call("ask", message, 10.0, again=again)
    assert server.requests == requests
    one.drop()


def test_a_host_that_never_answers_is_down_in_bounded_time(control: Control) -> None:
    end, going = joined(control), threading.Event()
    agent = Echo()
    agent.answers = lambda question: Answer(value=going.wait(PATIENCE))
    end.serve(agent)
    end.control.hello(hello(HOST, "boot"))
    with pytest.raises(errors.HostDown):
        control.link.ask(HOST, Question(what="logs", uuid="u"), timeout_s=0.5)
    eventually(lambda: agent.asked)
    going.set()
    assert len(agent.asked) == 1


# --- hints between control processes -------------------------------------------------------------


def test_a_hint_reaches_the_other_control_processes(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolium.link.peers.CALL_S", PATIENCE)
    places = [("127.0.0.1", free_port()), ("127.0.0.1", control.end.port)]
    meter = Meter()
    peers = Peers(control.own.identity, lambda: places, look_s=0.05, meter=meter)
    peers.send("nobody is known yet")
    peers.start()
    eventually(lambda: len(peers._peers) == 2)
    woken = threading.Event()

    def wait() -> None:
        if control.store.hints.wait("placer", 0, PATIENCE):
            woken.set()

    beside(wait)
    peers.send("placer")
    assert woken.wait(PATIENCE)
    # Nobody listens on the other place: what was for it is dropped, and counted.
    eventually(lambda: meter.counts(HINTS) == {("sent",): 1, ("dropped",): 1})
    assert control.store.meter.counts(HINTS) == {("received",): 1}
    places.pop()
    eventually(lambda: len(peers._peers) == 1)
    peers.stop()


def test_members_that_can_not_be_read_stop_nothing(control: Control) -> None:
    looks: list[int] = []

    def members() -> list[tuple[str, int]]:
        looks.append(1)
        if len(looks) < 3:
            raise errors.Unanswered(what="The database", why="away")
        return [("127.0.0.1", control.end.port)]

    peers = Peers(control.own.identity, members, look_s=0.01)
    peers.start()
    eventually(lambda: peers._peers)

    def arrives() -> int:
        peers.send("topic")  # again: what a slow peer can't take in time is dropped
        return control.store.hints.count("topic")

    eventually(arrives)
    peers.stop()


# --- small things --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://a.example:1", ("a.example", 1)),
        ("https://a.example", ("a.example", 9518)),
        ("a.example:7", ("a.example", 7)),
        ("https://[::1]:7", ("::1", 7)),
    ],
)
def test_a_url_names_a_place(url: str, expected: tuple[str, int]) -> None:
    assert place(url) == expected


@pytest.mark.parametrize("url", ["http://a", "", "https://", "https://a:many"])
def test_any_other_url_is_said(url: str) -> None:
    with pytest.raises(errors.StartError, match=r"\[link\] url"):
        place(url)


def test_a_host_knows_the_address_it_is_seen_by() -> None:
    assert towards("127.0.0.1") == "127.0.0.1"
    assert towards("no such name") == ""
