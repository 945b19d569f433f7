"""Hints to other control processes: quick, never needed, never waited for.

A commit hands its topics over and goes on. One thread per peer sends what has come together
since its last call; what a peer can't take is dropped, as everybody looks from time to time anyway.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

import msgspec

from dolium import errors
from dolium.link.https_client import Wire
from dolium.link.peer import CONTROL
from dolium.link.tls import Identity
from dolium.link.wire import Topics
from dolium.model.metric import HINTS, Meter

LOG = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often the list of peers is read."""
CALL_S = 2.0
PAUSE_S = 2.0
"""How long a peer that did not answer is left alone."""
MOST = 10_000
"""Topics kept for one peer at most."""


class Peers:
    """Sends from `start` to `stop`.

    Args:
        identity: this process's certificate.
        members: addresses and ports of the other control processes; read every few seconds in a
            thread of its own, may raise.
    """

    def __init__(
        self,
        identity: Identity,
        members: Callable[[], Iterable[tuple[str, int]]],
        look_s: float = LOOK_S,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self._identity, self._members, self._look_s = identity, members, look_s
        self._lock = threading.Lock()
        self._peers: dict[tuple[str, int], _Sender] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peers", daemon=True)

    def start(self) -> None:
        """Begin to look for peers."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._meet(())

    def send(self, topic: str) -> None:
        """After a commit; returns at once."""
        with self._lock:
            peers = list(self._peers.values())
        for peer in peers:
            peer.add(topic)

    def _look(self) -> None:
        while not self._stopping.is_set():
            try:
                self._meet(self._members())
            except errors.Error as error:
                LOG.warning("the other control processes are not known: %s", error)
            except Exception:
                LOG.exception("the other control processes are not known: a bug")
            self._stopping.wait(self._look_s)

    def _meet(self, members: Iterable[tuple[str, int]]) -> None:
        found = set(members)
        with self._lock:
            left = [self._peers.pop(place) for place in self._peers.keys() - found]
            for place in found - self._peers.keys():
                self._peers[place] = _Sender(place, self._identity, self._meter)
        for sender in left:
            sender.stop()


class _Sender:
    """One peer and its thread."""

    def __init__(self, place: tuple[str, int], identity: Identity, meter: Meter) -> None:
        self._meter = meter
        self._wire = Wire(
            *place,
            identity.client,
            lambda peer: peer is not None and peer.role == CONTROL,
            connect_s=1.0,
        )
        self._topics: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="peer", daemon=True)
        self._thread.start()

    def add(self, topic: str) -> None:
        with self._changed:
            if len(self._topics) < MOST:
                self._topics.add(topic)
            else:
                self._meter.count(HINTS, "dropped")
            self._changed.notify()

    def stop(self) -> None:
        """Ends by itself: nobody waits for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _run(self) -> None:
        while (topics := self._take()) is not None:
            try:
                self._wire.call("hints", msgspec.json.encode(Topics(topics=topics)), CALL_S)
            except errors.Error as error:
                LOG.info("no hints for %s: %s", self._wire.what, error)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, PAUSE_S)
                    dropped, self._topics = len(topics) + len(self._topics), set()
                self._meter.count(HINTS, "dropped", by=dropped)
            else:
                self._meter.count(HINTS, "sent", by=len(topics))
        self._wire.close()

    def _take(self) -> tuple[str, ...] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._topics or self._stopping)
            topics, self._topics = tuple(self._topics), set()
            return None if self._stopping else topics
