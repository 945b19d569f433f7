"""Hosts by condition: for each combination of conditions asked so far, the hosts that meet it.

Most requests share few combinations, so what a host is like is compared once per combination
and host instead of once per request and host.
"""

from __future__ import annotations

from typing import NamedTuple

from dolium.model.placing import Host, Request
from dolium.placing.slot import Slot

MOST = 256
"""Combinations remembered; the oldest makes room. A tenant chooses labels, so it needs a bound."""


class Terms(NamedTuple):
    """The conditions of a request that do not depend on what is used."""

    zone: str | None
    runtime: str | None
    labels: tuple[tuple[str, str], ...]


def terms(request: Request) -> Terms:
    """The conditions of a request."""
    labels = tuple(sorted(request.labels.items())) if request.labels else ()
    return Terms(request.zone, request.runtime, labels)


def meets(host: Host, asked: Terms) -> bool:
    """Whether a host is of the kind asked for and takes containers at all."""
    return (
        host.up
        and not host.disabled
        and (asked.zone is None or asked.zone == host.zone)
        and (asked.runtime is None or asked.runtime in host.runtimes)
        and all(host.labels.get(key) == value for key, value in asked.labels)
    )


class Pool:
    """The slots that meet one combination, in a list to walk and findable to take out."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self._at: dict[str, int] = {}

    def put(self, slot: Slot) -> None:
        """Add a slot, or put it in the place of the one of the same name."""
        at = self._at.setdefault(slot.name, len(self.slots))
        self.slots[at : at + 1] = [slot]

    def drop(self, name: str) -> None:
        """Take a slot out; the last one moves to its place. Nothing when it is not in."""
        at = self._at.pop(name, None)
        if at is None:
            return
        last = self.slots.pop()
        if last.name != name:
            self.slots[at] = last
            self._at[last.name] = at
