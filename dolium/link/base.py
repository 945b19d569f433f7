"""The two ends of a link. `local` joins them in one process; `https` will join machines."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Protocol

from dolium.link.stream import Incoming
from dolium.model.enrolment import Authority, Certified, Enrol
from dolium.model.host import Hello, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Answer, Facts, Fate, Page, Question


class Control(Protocol):
    """What a host can ask of the control side. Every call may be repeated."""

    def hello(self, hello: Hello) -> Welcome:
        """When an agent starts: enrol or come back; older boots of the host are cut off."""
        ...

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        """When an agent has done what it knew: what changed after `since`, waiting up to wait_s.

        `since=0`, or one behind the horizon, gives a full page.
        """
        ...

    def post(self, facts: Facts) -> Ack:
        """When an agent has news: repeat until acknowledged."""
        ...

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        """When an agent finds containers of this deployment that no wish names."""
        ...

    def login(self, host: str, boot: str, uuid: str) -> Login:
        """When an agent is about to pull a container's image from a registry of its project."""
        ...

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        """When an agent has not got the image of Glance that a container is made of: its bytes.
        Raises errors.Error, also between them.
        """
        ...


class Line(Protocol):
    """A console or a stream that is ready, and that nobody is at yet."""

    def join(self, far: socket.socket) -> None:
        """When somebody is: carry bytes between it and the socket, which ends with it."""
        ...


class Agent(Protocol):
    """What the control side can ask of a host."""

    def answer(self, question: Question) -> Answer:
        """When a user asks for what only the host knows; never raises, errors are answers."""
        ...

    def open(self, question: Question) -> Line:
        """When somebody comes to a console, `attach` or `exec_start`, or to a log, `follow`, or
        reads an image, `save_image`; raises errors.Error.
        """
        ...


class Hosts(Protocol):
    """The control side's way to hosts."""

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        """Put a question to a host. Raises HostDown when it can't be reached."""
        ...

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        """Open a console of a host; what is read and written is its terminal's. A log is told in
        pieces (model/log.py).

        Raises HostDown when the host can't be reached, and what its agent raised.
        """
        ...

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        """Read what a host has, such as an image: raises as `open`, also between pieces."""
        ...


class Registrar(Protocol):
    """Who knows which hosts may use the link, and certifies them (control/enrolment.py)."""

    def authority(self) -> Authority:
        """When a host that knows nobody yet asks whom to trust; it compares with its token."""
        ...

    def enrol(self, asked: Enrol) -> Certified:
        """When a host comes with a token. The same request with the same token may be repeated."""
        ...

    def renew(self, host: str, generation: int, request: str) -> Certified:
        """When half of a certificate's life is over."""
        ...

    def accepts(self, host: str, generation: int) -> bool:
        """At each request: whether certificates of this enrolment still count."""
        ...

    def refresh(self) -> None:
        """Several times a minute: learn what was revoked elsewhere."""
        ...
