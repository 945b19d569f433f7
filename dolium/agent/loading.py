"""Images of Glance on this host: each is loaded once, whoever waits for it.

What an engine has under a pin's name came by here, with the bytes that Glance vouches for, so that
it never changes: no policy but `never` has to ask for it again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dolium import errors, priority
from dolium.drivers.engine.base import Engine
from dolium.model.image import Pin

ASK_S = 0.2
"""How often `stop` is asked while another container's pass loads the image."""

Source = Callable[[str], Iterator[bytes]]
"""From the id of a container that is made of it, the bytes of an image; raises DriverError."""


class Loading:
    """Safe to use from many threads."""

    def __init__(self, engine: Engine, source: Source) -> None:
        self._engine, self._source = engine, source
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def load(self, uuid: str, pin: Pin, policy: str, stop: Callable[[], bool]) -> None:
        """Make the image present that a container is made of. Raises as Engine.pull."""
        if self._engine.image(pin.name) is not None:
            return
        if policy == "never":
            raise errors.ImageMissing(image=pin.id, why="it is not on this host")
        with self._turn(pin, stop):
            if self._engine.image(pin.name) is None:
                with priority.among_equals():  # gigabytes to unpack and to hash
                    self._engine.load(pin.name, _checked(self._source(uuid), pin, stop))

    @contextmanager
    def _turn(self, pin: Pin, stop: Callable[[], bool]) -> Iterator[None]:
        with self._lock:
            turn = self._turns[pin.id]
        while not turn.acquire(timeout=ASK_S):
            _go_on(stop)
        try:
            yield
        finally:
            turn.release()


def _checked(pieces: Iterator[bytes], pin: Pin, stop: Callable[[], bool]) -> Iterator[bytes]:
    """The same; after the last one raises Refused if they were not what the pin says."""
    found = hashlib.new(pin.algorithm, usedforsecurity=False)
    try:
        for piece in pieces:
            _go_on(stop)
            found.update(piece)
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    if found.hexdigest() != pin.digest:
        raise errors.Refused(why=f"What Glance sent is not image {pin.id}: its digest is another")


def _go_on(stop: Callable[[], bool]) -> None:
    if stop():
        raise errors.Unanswered(what="The image", why="it was given up")
