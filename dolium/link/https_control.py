"""The control side of the https link: serves agents, and hints of other control processes.

A poll that waits holds a thread: 1,000 of them take 74 MiB, a quarter of a percent of a core while
nothing happens, and are woken in a millisecond (tests/perf/polls.py, docs/explanation/link.md).
Threads are made as polls come; who comes when there is no more room is answered at once and told
to come back later, so that polls never hold up other calls.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dolium import errors
from dolium.link import tls
from dolium.link.base import Control, Registrar
from dolium.link.certificates import ALSO, CERTIFICATE, KEY, LASTS_S, Ca
from dolium.link.endpoints import Call, Endpoint, Endpoints
from dolium.link.keeper import Keeper
from dolium.link.peer import CONTROL, HOST, Peer
from dolium.link.serving import Serving, Size
from dolium.link.stream import Outgoing
from dolium.link.wire import CROWDED, MOST_ASKED, Nothing, Pull, Pulling, Strangers, Topics
from dolium.model.clock import Clock
from dolium.model.enrolment import Authority, Certified, Enrol, Renew
from dolium.model.host import Hello, Welcome
from dolium.model.metric import HINTS, POLLS, Meter, Value
from dolium.model.registry import Login
from dolium.model.wish import Ack, Facts, Fate, Page

LOG = logging.getLogger(__name__)

THREADS = 16
"""For calls that do not wait."""
LONGEST_S = 30.0
"""A poll waits no longer, whatever it asks for."""
STREAMS = 16
"""Images that go to hosts at the same time; each has a thread of its own."""
BACK_S = 2
"""When a poll without room may come back."""
STOP_S = 5.0
WAKE_S = 0.05


class Own:
    """The certificate that a control process makes for itself, with the CA it makes it by."""

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        """folder: of the CA. name: of this process, for logs. Raises StartError without a CA."""
        self._folder, self._name, self._clock = folder, name, clock
        self._marks = self._look()
        self.ca = Ca(folder)
        self.identity = tls.Identity(self._made(), anybody=True)
        self._web_names: Sequence[str] = ()
        self._web = tls.web()

    def web(self, names: Sequence[str]) -> Callable[[], ssl.SSLContext]:
        """TLS for the public API under these names and addresses, renewed like everything."""
        self._web_names = names
        self._renew_web()
        return lambda: self._web

    def refresh(self) -> None:
        """Several times a minute: the CA's files may be new, half of a life may be over."""
        marks = self._look()
        if marks == self._marks and not self.identity.pems.due(self._clock.now()):
            return
        self.ca = Ca(self._folder)
        self._marks = marks
        self.identity.take(self._made())
        self._renew_web()
        LOG.info("made a new certificate for control %s", self._name)

    def _made(self) -> tls.Pems:
        now = self._clock.now()
        certificate, key = self.ca.control(self._name, now)
        return tls.Pems(
            certificate=certificate.encode(),
            key=key,
            trusted=self.ca.trusted.encode(),
            until=now + LASTS_S,
        )

    def _renew_web(self) -> None:
        if self._web_names:
            certificate, key = self.ca.web(self._web_names, self._clock.now())
            self._web = tls.web(certificate.encode(), key)

    def _look(self) -> list[tuple[int, int]]:
        found = []
        for name in (CERTIFICATE, KEY, ALSO):
            try:
                stat = os.stat(self._folder / name)
            except OSError:
                continue
            found.append((stat.st_ino, stat.st_mtime_ns))
        return found


class Room:
    """Who waits, and whether one more may."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._closed = False

    @contextmanager
    def place(self, host: str) -> Iterator[int]:
        """Take a place; yields how many are taken now, 0 when this one got none."""
        with self._lock:
            got = not self._closed and self._waiting.total() < self._most
            if got:
                self._waiting[host] += 1
            taken = self._waiting.total() if got else 0
        try:
            yield taken
        finally:
            if got:
                with self._lock:
                    self._waiting[host] -= 1
                    if not self._waiting[host]:
                        del self._waiting[host]

    def close(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._closed = True

    def taken(self) -> int:
        """How many wait."""
        with self._lock:
            return self._waiting.total()

    def waiting(self) -> list[str]:
        """The hosts whose polls wait."""
        with self._lock:
            return list(self._waiting)


class ControlEnd:
    """Listens from `start` to `stop`.

    Args:
        control: answers hosts (control/hosts.py).
        own: this process's certificate.
        registrar: who knows which hosts may (control/enrolment.py).
        wake: what to do with a topic that somebody hints at: `Hints.wake`.
        listen: the address; port 0 takes a free one, `port` tells which after the start.
        polls: most polls that wait at the same time.
    """

    def __init__(
        self,
        control: Control,
        own: Own,
        registrar: Registrar,
        wake: Callable[[str], None],
        clock: Clock,
        listen: str = "127.0.0.1",
        port: int = 9518,
        polls: int = 2000,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self._control, self._registrar, self._wake = control, registrar, wake
        self._room = Room(polls)
        self._streams = threading.BoundedSemaphore(STREAMS)
        table = {
            "authority": Endpoint(Nothing, (), self._authority),
            "enrol": Endpoint(Enrol, (), self._enrol),
            "renew": Endpoint(Renew, (HOST,), self._renew),
            "hello": Endpoint(Hello, (HOST,), self._hello),
            "wishes": Endpoint(Pull, (HOST,), self._wishes),
            "post": Endpoint(Facts, (HOST,), self._post),
            "fate": Endpoint(Strangers, (HOST,), self._fate),
            "login": Endpoint(Pulling, (HOST,), self._login),
            "image": Endpoint(Pulling, (HOST,), self._image),
            "hints": Endpoint(Topics, (CONTROL,), self._hints),
        }
        # Each agent has one connection that waits and one or two that rest between calls.
        size = Size(
            threads=THREADS,
            connections=4 * polls + 64,
            idle_s=60,
            backlog=1024,
            header=16 * 1024,
            body=MOST_ASKED,
        )
        self._serving = Serving(
            Endpoints(table, self._admit, clock, self._meter),
            listen,
            port,
            size,
            name="link",
            group="[link]",
            context=own.identity.server,
            meter=self._meter,
        )
        self._keeper = Keeper("link-keeper", [own.refresh, registrar.refresh])

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._serving.port

    def start(self) -> None:
        """Take the port and begin to answer; raises StartError when it is taken."""
        self._registrar.refresh()
        self._serving.start()
        self._keeper.start()

    def figures(self) -> list[Value]:
        """For who watches this process."""
        return [Value(POLLS, self._room.taken())]

    def stop(self) -> None:
        """Send waiting polls home, then answer no more."""
        self._room.close()
        until = time.monotonic() + STOP_S
        while (hosts := self._room.waiting()) and time.monotonic() < until:
            for host in hosts:  # again and again: one may be just about to wait
                self._wake(f"host:{host}")
            time.sleep(WAKE_S)
        self._keeper.stop()
        self._serving.stop()

    def _admit(self, peer: Peer) -> None:
        if peer.role == HOST and not self._registrar.accepts(peer.name, peer.generation):
            raise errors.Untrusted(
                why=f"The enrolment of host {peer.name} was revoked or replaced; "
                f"`dolium host token {peer.name}` makes a token for a new one"
            )

    # --- calls -------------------------------------------------------------------------------

    def _authority(self, _call: Call) -> Authority:
        return self._registrar.authority()

    def _enrol(self, call: Call) -> Certified:
        asked: Enrol = call.message
        return self._registrar.enrol(asked)

    def _renew(self, call: Call) -> Certified:
        assert call.peer
        return self._registrar.renew(call.peer.name, call.peer.generation, call.message.request)

    def _hello(self, call: Call) -> Welcome:
        hello: Hello = call.message
        itself(call, hello.host)
        return self._control.hello(hello)

    def _wishes(self, call: Call) -> Page:
        pull: Pull = call.message
        itself(call, pull.host)
        if pull.wait_s <= 0:
            return self._control.wishes(pull.host, pull.boot, pull.since, 0.0)
        with self._room.place(pull.host) as taken:
            if taken:
                self._serving.spare(taken)
            else:
                call.headers.append((CROWDED, str(BACK_S)))
            wait_s = min(pull.wait_s, LONGEST_S) if taken else 0.0
            page = self._control.wishes(pull.host, pull.boot, pull.since, wait_s)
        assert call.peer
        self._admit(call.peer)  # it may have been revoked while it waited
        return page

    def _post(self, call: Call) -> Ack:
        facts: Facts = call.message
        itself(call, facts.host)
        return self._control.post(facts)

    def _fate(self, call: Call) -> Fate:
        strangers: Strangers = call.message
        itself(call, strangers.host)
        return self._control.fate(strangers.host, strangers.uuids)

    def _login(self, call: Call) -> Login:
        pulling: Pulling = call.message
        itself(call, pulling.host)
        return self._control.login(pulling.host, pulling.boot, pulling.uuid)

    def _image(self, call: Call) -> Nothing:
        pulling: Pulling = call.message
        itself(call, pulling.host)
        if not self._streams.acquire(blocking=False):
            raise errors.Crowded(most=STREAMS, what="streams of images")
        try:
            pieces = self._control.image(pulling.host, pulling.boot, pulling.uuid)
        except BaseException:
            self._streams.release()
            raise
        call.taker = Outgoing(pieces, self._streams.release).join
        return Nothing()

    def _hints(self, call: Call) -> Nothing:
        topics: Topics = call.message
        self._meter.count(HINTS, "received", by=len(topics.topics))
        for topic in topics.topics:
            self._wake(topic)
        return Nothing()


def itself(call: Call, host: str) -> None:
    """A host speaks for itself only."""
    assert call.peer
    if call.peer.name != host:
        raise errors.Untrusted(
            why=f"Host {call.peer.name} spoke in the name of {host}; "
            "[DEFAULT] host must be the name it was enrolled with"
        )
