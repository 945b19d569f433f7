"""Both ends of a link on real sockets of 127.0.0.1, with real certificates and a real store."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dolium import conf, errors
from dolium.control import enrolment
from dolium.control.hosts import Hosts
from dolium.link import certificates, https_agent
from dolium.link.https import HttpsHosts
from dolium.link.https_agent import HostEnd
from dolium.link.https_control import ControlEnd, Own
from dolium.link.pump import Pump
from dolium.model.host import Hello, Inventory
from dolium.model.wish import Answer, Question
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite

PATIENCE = 30.0


class MovedClock:
    """The machine's clock, and as much later as told."""

    def __init__(self) -> None:
        self.later = 0.0

    def now(self) -> float:
        return time.time() + self.later

    def monotonic(self) -> float:
        return time.monotonic() + self.later


class Echo:
    """An agent that repeats the question."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.pump = Pump("test")
        self.inside: socket.socket
        self.answers: Callable[[Question], Answer] = lambda question: Answer(value=question.uuid)

    def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answers(question)

    def open(self, question: Question) -> Desk:
        """Once somebody is there, `inside` is the terminal's other side."""
        self.asked.append(question)
        if question.what == "nothing":
            raise errors.NoConsole(why="There is no console")
        near, self.inside = socket.socketpair()
        self.inside.settimeout(PATIENCE)
        return Desk(self.pump, near)


class Desk:
    """A console of an agent."""

    def __init__(self, pump: Pump, near: socket.socket) -> None:
        self._pump, self._near = pump, near

    def join(self, far: socket.socket) -> None:
        self._pump.join(self._near, far, early=b"early ")


class Control:
    """A control process."""

    def __init__(self, folder: Path, *, polls: int = 100, port: int = 0) -> None:
        self.folder = folder
        self.leaving: list[Callable[[], object]] = []
        """What is to be closed at the end."""
        self.ca = folder / "ca"
        self.clock = MovedClock()
        if not self.ca.exists():
            certificates.found(self.ca, self.clock.now())
        self.store = Sqlite(folder / "db")
        self.store.write(lambda tx: metadata.create_all(tx.connection))
        self.hosts = Hosts(self.store, self.clock, conf.Placing(), "deployment")
        self.own = Own(self.ca, "control", self.clock)
        self.enrolment = enrolment.Enrolment(self.store, self.clock, self.own, "deployment")
        self.link = HttpsHosts(self.own.identity, self.hosts.place, self.enrolment.accepts)
        self.serve(polls=polls, port=port)

    def serve(self, polls: int = 100, port: int = 0) -> None:
        """Listen; again after `end.stop()`."""
        self.end = ControlEnd(
            self.hosts,
            self.own,
            self.enrolment,
            self.store.hints.wake,
            self.clock,
            port=port,
            polls=polls,
            meter=self.store.meter,
        )
        self.end.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.end.port}"

    def token(self, host: str, ttl_s: float = 60.0) -> str:
        pem = (self.ca / certificates.CERTIFICATE).read_text()
        return str(enrolment.offer(self.store, self.clock, pem, host, ttl_s))

    def enrol(self, host: str) -> Path:
        """A folder with an enrolled host."""
        from dolium.model.enrolment import token

        folder = self.folder / host
        https_agent.enrol(folder, host, [self.url], token(self.token(host)))
        return folder

    def join(self, host: str, every_s: float = 3600.0) -> HostEnd:
        """The end of a host that is enrolled."""
        end = HostEnd(
            self.folder / host,
            host,
            [self.url],
            random.Random(1),
            self.clock,
            port=0,
            every_s=every_s,
        )
        self.leaving.append(end.stop)
        return end

    def stop(self) -> None:
        for leave in self.leaving:
            leave()
        self.link.close()
        self.end.stop()
        self.store.close()


def hello(host: str, boot: str) -> Hello:
    inventory = Inventory(hostname=host, cpus=8, memory_mib=16384, disk_gib=100)
    return Hello(host=host, boot=boot, inventory=inventory)


def eventually(what: Callable[[], object]) -> None:
    """Wait for a condition, generously."""
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def beside(work: Callable[[], object]) -> threading.Thread:
    """Run in a thread of its own."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
