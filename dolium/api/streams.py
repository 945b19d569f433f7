"""Answers that go on for minutes: each holds a thread of the server while it does."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Protocol

from dolium import errors


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
        self.most = most
        self._held = 0
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
            held = self._held
        self.grow(held)
        return Stream(chunks, self._leave)

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
