"""The link inside one process.

Everything is encoded and decoded as it would be between machines, so that nothing works only
because two roles share an object (decision 20).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from dolium import errors
from dolium.link.base import Agent, Control
from dolium.link.stream import Incoming, Outgoing
from dolium.model import reading
from dolium.model.host import Hello, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Answer, Facts, Fate, Page, Question

T = TypeVar("T")


def carried(message: T) -> T:
    """The message as the other side would read it."""
    return reading.read(msgspec.json.encode(message), type(message))


class LocalControl:
    """A host's end: calls straight into the control side."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def hello(self, hello: Hello) -> Welcome:
        """Enrol."""
        return carried(self._control.hello(carried(hello)))

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        """Pull what changed."""
        return carried(self._control.wishes(host, boot, since, wait_s))

    def post(self, facts: Facts) -> Ack:
        """Report."""
        return carried(self._control.post(carried(facts)))

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        """Ask what became of strangers."""
        return carried(self._control.fate(host, list(uuids)))

    def login(self, host: str, boot: str, uuid: str) -> Login:
        """Ask who signs in for an image."""
        return carried(self._control.login(host, boot, uuid))

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        """Ask for the bytes of an image."""
        ours, theirs = socket.socketpair()
        try:
            Outgoing(self._control.image(host, boot, uuid)).join(theirs)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return Incoming(ours)


class LocalHosts:
    """The control side's end: the agents of this process by host name."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._lock = threading.Lock()

    def join(self, host: str, agent: Agent) -> None:
        """When an agent can answer questions."""
        with self._lock:
            self._agents[host] = agent

    def leave(self, host: str) -> None:
        """When an agent stops."""
        with self._lock:
            self._agents.pop(host, None)

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        """Put a question to a host; drivers bound their own time, timeout_s is for the wire."""
        return carried(self._agent(host).answer(carried(question)))

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        """Open a console of a host."""
        agent = self._agent(host)
        ours, theirs = socket.socketpair()
        try:
            agent.open(carried(question)).join(theirs)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return ours

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        """Read what a host has."""
        return Incoming(self.open(host, question, timeout_s))

    def _agent(self, host: str) -> Agent:
        with self._lock:
            agent = self._agents.get(host)
        if agent is None:
            raise errors.HostDown(host=host)
        return agent
