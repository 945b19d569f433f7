"""Facts on their way to the control side: coalesced per container, kept until acknowledged."""

from __future__ import annotations

import threading

import msgspec

from dolium.model.wish import Ack, Fact

LARGEST = 200
"""Most facts of one batch."""

PATIENCE_S = 0.25
"""How long a fact that only tells of work in progress may wait for a better one."""


class Outbox:
    """The newest fact of each container. Safe to use from many threads."""

    def __init__(self) -> None:
        self._sequence = 0
        self._waiting: dict[str, Fact] = {}
        self._told: dict[str, Fact] = {}
        self._moved = threading.Condition()
        self._urgent = False
        self._closed = False

    def put(self, fact: Fact, *, urgent: bool = True) -> bool:
        """Queue a fact in place of an older one; False when it says nothing new."""
        bare = msgspec.structs.replace(fact, sequence=0)
        with self._moved:
            if self._told.get(fact.uuid) == bare:
                return False
            self._sequence += 1
            self._told[fact.uuid] = bare
            self._waiting[fact.uuid] = msgspec.structs.replace(fact, sequence=self._sequence)
            self._urgent |= urgent
            self._moved.notify_all()
            return True

    def told(self, uuid: str) -> Fact | None:
        """What was last queued about a container."""
        with self._moved:
            return self._told.get(uuid)

    def forget(self, uuid: str) -> None:
        """Nobody asks about the container any more."""
        with self._moved:
            self._told.pop(uuid, None)
            self._waiting.pop(uuid, None)

    def again(self, uuid: str) -> None:
        """What is known about the container is news again, whatever was told."""
        with self._moved:
            self._told.pop(uuid, None)

    def renew(self) -> None:
        """After a Hello: everything is news again."""
        with self._moved:
            self._told.clear()
            self._waiting.clear()

    def batch(self) -> tuple[Fact, ...]:
        """The oldest facts that are not acknowledged."""
        with self._moved:
            self._urgent = False
            facts = sorted(self._waiting.values(), key=lambda fact: fact.sequence)
            return tuple(facts[:LARGEST])

    def settle(self, sent: tuple[Fact, ...], ack: Ack) -> tuple[Fact, ...]:
        """Drop what was written down; returns it."""
        with self._moved:
            known = tuple(fact for fact in sent if fact.sequence <= ack.sequence)
            for fact in known:
                if self._waiting.get(fact.uuid) == fact:
                    del self._waiting[fact.uuid]
            return known

    def waiting(self) -> int:
        """How many facts are not acknowledged."""
        with self._moved:
            return len(self._waiting)

    def wait(self, wait_s: float) -> bool:
        """Until something ought to be sent; False when nothing came up or it was closed."""
        with self._moved:
            self._moved.wait_for(lambda: self._closed or self._waiting, wait_s)
            if self._waiting and not self._urgent:
                self._moved.wait_for(lambda: self._closed or self._urgent, PATIENCE_S)
            return bool(self._waiting)

    def close(self) -> None:
        """Nobody needs to wait any longer."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()
