"""Which processes of the control side are there: each shows signs of life, and finds the others.

Nothing depends on this being right: it says whom to wake, and what people see in `dolium status`.
"""

from __future__ import annotations

from dolium.model.clock import Clock
from dolium.store import members
from dolium.store.members import Member
from dolium.store.store import Store

BEAT_S = 2.0
QUIET_S = 10.0
"""Without a sign of life for so long nobody wakes it any more."""
GONE_S = 60.0
"""And after this its row goes."""


class Members:
    """One process's view of all; driven by a thread every BEAT_S."""

    def __init__(self, store: Store, clock: Clock, me: Member) -> None:
        self._store = store
        self._clock = clock
        self._me = me
        self._seen: dict[str, tuple[Member, float]] = {}
        """The others, and when the beat was first seen on this process's own clock."""

    def turn(self) -> None:
        """Show a sign of life and look for others'."""
        self._store.write(lambda tx: members.beat(tx, self._me))
        with self._store.glance() as connection:
            found = members.all_of_them(connection)
        now = self._clock.monotonic()
        seen = {}
        for member in found:
            if member.id == self._me.id:
                continue
            before = self._seen.get(member.id)
            since = before[1] if before and before[0].beat == member.beat else now
            seen[member.id] = (member, since)
        self._seen = seen
        for member, since in seen.values():
            if now - since > GONE_S:
                self._bury(member)

    def peers(self) -> list[tuple[str, int]]:
        """Addresses and ports where to wake the others."""
        now = self._clock.monotonic()
        return sorted(
            _place(member.address)
            for member, since in self._seen.values()
            if member.address and now - since <= QUIET_S
        )

    def leave(self) -> None:
        """At an orderly end."""
        self._store.write(lambda tx: members.drop(tx, self._me.id))

    def _bury(self, member: Member) -> None:
        # It may have shown a sign of life just now: only the beat that was seen is meant.
        self._store.write(lambda tx: members.drop(tx, member.id, member.beat))


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
