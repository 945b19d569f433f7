"""Answers that go on for minutes, and requests that wait for a host: each holds a thread of the
server while it does.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dolium import errors
from dolium.link.base import Hosts
from dolium.link.stream import Incoming
from dolium.model.wish import Answer, Question


class Chunks(Protocol):
    """What an answer is made of."""

    def __next__(self) -> bytes:
        """The next piece, as soon as there is one."""
        ...

    def close(self) -> None:
        """Once, whether anything was read or not."""
        ...


class BrokenOff(ConnectionAbortedError):
    """An answer ends before it is complete, and its client is to see that."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNABORTED, "broken off")  # what the server takes without a word


class Streams:
    """Counts them, so that there is room for all others, and ends them when the server does."""

    def __init__(self, most: int) -> None:
        """most: streams there may be; and waiting requests that others have room besides."""
        self.most = most
        self._held = self._waiting = 0
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.grow: Callable[[int], None] = lambda held: None
        """Told how many threads are held, before each answer; the server's own matter."""

    def open(self, chunks: Chunks) -> Stream:
        """An answer of these chunks, made as they are sent. Raises Crowded."""
        with self._lock:
            if self._held >= self.most:
                raise errors.Crowded(most=self.most, what="watchers")
            self._held += 1
            held = self._threads()
        self.grow(held)
        return Stream(chunks, self._leave)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a request waits for somebody else, who may take a minute."""
        with self._lock:
            self._waiting += 1
            held = self._threads()
        self.grow(held)
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _threads(self) -> int:
        return self._held + min(self._waiting, self.most)

    def _leave(self) -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        """Let all come to their end."""
        self.closing.set()


class Stream:
    """Given to the server, which closes it, also when the client is gone or never began to read."""

    def __init__(self, chunks: Chunks, leave: Callable[[], None]) -> None:
        self._chunks = chunks
        self._leave: Callable[[], None] | None = leave

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Nobody reads on."""
        leave, self._leave = self._leave, None
        if leave is not None:
            self._chunks.close()
            leave()


class Patient(Hosts):
    """The way to hosts, on which a request waits without being in the way of others."""

    def __init__(self, link: Hosts, streams: Streams) -> None:
        self._link, self._streams = link, streams

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        """See Hosts."""
        with self._streams.waiting():
            return self._link.ask(host, question, timeout_s)

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        """See Hosts."""
        with self._streams.waiting():
            return self._link.open(host, question, timeout_s)

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        """See Hosts."""
        with self._streams.waiting():
            return self._link.read(host, question, timeout_s)
