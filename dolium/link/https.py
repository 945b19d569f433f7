"""The calling ends of the https link: a host's way to the control side, and the way back."""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPMessage
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from dolium import errors
from dolium.link.https_client import Wire
from dolium.link.peer import CONTROL, HOST, Peer
from dolium.link.pump import Pump, keep_alive
from dolium.link.stream import Incoming
from dolium.link.tls import Identity
from dolium.link.wire import CROWDED, Pull, Pulling, Strangers
from dolium.model import reading
from dolium.model.clock import Clock
from dolium.model.enrolment import Certified, Renew
from dolium.model.host import Hello, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Answer, Facts, Fate, Page, Question

LOG = logging.getLogger(__name__)

PORT = 9518
"""Of the control side, where the URL names none."""

CALL_S = 30.0
"""How long the control side may take for what does not wait: a commit on a busy database."""
POLL_S = 8.0
"""The same for a poll, after the time that it may wait: a control process may have gone without a
word, and another would have news."""
ONCE = frozenset({"execute"})
"""Questions that are never put twice, as nobody knows whether the first one was carried out."""

T = TypeVar("T")


def place(url: str) -> tuple[str, int]:
    """Address and port of a URL of the control side; raises StartError."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme == "https" and parts.hostname:
            return parts.hostname, parts.port or PORT
    except ValueError:
        pass
    raise errors.StartError(why=f"[link] url {url} is none of the form https://ADDRESS:{PORT}")


class HttpsControl:
    """A host's end: implements link.base.Control.

    Every call may be repeated, so one that gets no answer is put to the next control process.
    """

    def __init__(
        self,
        host: str,
        urls: Sequence[str],
        identity: Identity,
        rng: random.Random,
        clock: Clock,
        stopping: threading.Event,
        where: Callable[[str], tuple[str, int]],
    ) -> None:
        """where: from an address of the control side, where this host answers questions."""
        places = [place(url) for url in urls]
        rng.shuffle(places)  # hosts spread over the control processes
        self._wires = [Wire(*each, identity.client, _control) for each in places]
        self._places = places
        self._at = 0
        self._host, self._identity = host, identity
        self._rng, self._clock, self._stopping, self._where = rng, clock, stopping, where

    def hello(self, hello: Hello) -> Welcome:
        """Enrol, and say where questions are answered."""
        address, port = self._where(self._places[self._at][0])
        told = msgspec.structs.replace(hello, address=address, port=port)
        return self._call("hello", told, Welcome)

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        """Pull what changed. Where the control side has no room for those who wait, wait here."""
        pull = Pull(host=host, boot=boot, since=since, wait_s=wait_s)
        body, headers = self._exchange("wishes", msgspec.json.encode(pull), POLL_S + wait_s)
        page = reading.read(body, Page)
        later = headers.get(CROWDED)
        if later and page.revision == since and not page.full:
            self._stopping.wait(self._rng.uniform(0.5, 1.0) * min(float(later), wait_s))
        return page

    def post(self, facts: Facts) -> Ack:
        """Report."""
        return self._call("post", facts, Ack)

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        """Ask what became of strangers."""
        return self._call("fate", Strangers(host=host, uuids=tuple(uuids)), Fate)

    def login(self, host: str, boot: str, uuid: str) -> Login:
        """Ask who signs in for an image."""
        return self._call("login", Pulling(host=host, boot=boot, uuid=uuid), Login)

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        """Ask for the bytes of an image."""
        message = msgspec.json.encode(Pulling(host=host, boot=boot, uuid=uuid))
        wire = self._wires[self._at]
        try:
            far, _early = wire.upgrade("image", message, CALL_S)
        except errors.NotFound as error:
            if error.facts.get("kind") != "Call":
                raise
            raise errors.Unanswered(what=wire.what, why="it is older than that") from None
        except errors.Unanswered:
            self._at = (self._at + 1) % len(self._wires)  # whoever asks again asks another
            raise
        if far is None:
            raise errors.Unanswered(what=wire.what, why="it answered without a stream")
        keep_alive(far)
        return Incoming(far, _early, wire.what)

    def renew(self, request: str) -> Certified:
        """A new certificate in place of the one that is half over.

        Then any control process is as good as the present one: hosts that came together on one
        while others were started again spread anew.
        """
        certified = self._call("renew", Renew(request=request), Certified)
        self._at = self._rng.randrange(len(self._wires))
        return certified

    def close(self) -> None:
        """Close what is kept."""
        for wire in self._wires:
            wire.close()

    def _call(self, name: str, message: msgspec.Struct, kind: type[T]) -> T:
        body, _ = self._exchange(name, msgspec.json.encode(message), CALL_S)
        return reading.read(body, kind)

    def _exchange(self, name: str, message: bytes, timeout_s: float) -> tuple[bytes, HTTPMessage]:
        if self._identity.pems.until < self._clock.now():
            raise errors.Untrusted(
                why=f"The certificate of host {self._host} has expired; make a token with "
                f"`dolium host token {self._host}` on a control node and give it to `dolium enrol`"
            )
        begin = self._at
        for number in range(len(self._wires)):
            at = (begin + number) % len(self._wires)
            try:
                answer = self._wires[at].call(name, message, timeout_s)
            except errors.Unanswered as error:
                last = error
                continue
            self._at = at
            return answer
        raise last


class HttpsHosts:
    """The control side's end: implements link.base.Hosts."""

    def __init__(
        self,
        identity: Identity,
        where: Callable[[str], tuple[str, int] | None],
        accepts: Callable[[str, int], bool],
    ) -> None:
        """where: the address and port that a host told when it said hello.

        accepts: whether an enrolment counts, so that a revoked host answers nothing either.
        """
        self._identity, self._where, self._accepts = identity, where, accepts
        self._lock = threading.Lock()
        self._wires: dict[str, tuple[tuple[str, int], Wire]] = {}
        self._pump = Pump("consoles")

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        """Put a question to a host. Raises HostDown when it can't be reached."""
        message, again = msgspec.json.encode(question), question.what not in ONCE
        with _reached(host):
            body, _ = self._wire(host).call("ask", message, timeout_s, again=again)
        return reading.read(body, Answer)

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        """Open a console of a host, on a connection of its own."""
        far, early = self._opened(host, question, timeout_s)
        ours, theirs = socket.socketpair()
        self._pump.join(far, theirs, early=early)
        return ours

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        """Read what a host has, on a connection of its own."""
        far, early = self._opened(host, question, timeout_s)
        keep_alive(far)
        return Incoming(far, early, f"Host {host}")

    def _opened(
        self, host: str, question: Question, timeout_s: float
    ) -> tuple[socket.socket, bytes]:
        with _reached(host):
            try:
                message = msgspec.json.encode(question)
                far, early = self._wire(host).upgrade("console", message, timeout_s)
            except errors.NotFound:  # an agent that is older than consoles
                raise errors.NotOffered(driver=f"The agent of {host}", what="consoles") from None
        if far is None:
            reply = reading.read(early, Answer)
            raise errors.revive(reply.code or errors.Error.code, reply.facts)
        return far, early

    def close(self) -> None:
        """Close what is kept, and every console."""
        self._pump.stop()
        with self._lock:
            wires, self._wires = self._wires, {}
        for _, wire in wires.values():
            wire.close()

    def _wire(self, host: str) -> Wire:
        place = self._where(host)
        if place is None or not place[0]:
            raise errors.HostDown(host=host)

        def expects(peer: Peer | None) -> bool:
            return (
                peer is not None
                and (peer.role, peer.name) == (HOST, host)
                and self._accepts(host, peer.generation)
            )

        with self._lock:
            known = self._wires.get(host)
            if known and known[0] == place:
                return known[1]
            wire = Wire(*place, self._identity.client, expects)
            self._wires[host] = (place, wire)
        if known:
            known[1].close()
        return wire


@contextmanager
def _reached(host: str) -> Iterator[None]:
    try:
        yield
    except (errors.Unanswered, errors.Untrusted) as error:
        LOG.warning("host %s does not answer: %s", host, error)
        raise errors.HostDown(host=host) from None


def towards(address: str) -> str:
    """The address by which this machine speaks to another; nothing is sent for that."""
    try:
        found = socket.getaddrinfo(address, PORT, type=socket.SOCK_DGRAM)
    except OSError:
        return ""
    for family, _, _, _, target in found:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(target)
            except OSError:
                continue
            return str(probe.getsockname()[0])
    return ""


def _control(peer: Peer | None) -> bool:
    return peer is not None and peer.role == CONTROL
