"""Hosts by condition: for each combination of conditions asked so far, the hosts that meet it.

Most requests share few combinations, so what a host is like is compared once per combination
and host instead of once per request and host.
"""

from __future__ import annotations

from typing import NamedTuple

from dolium.model.placing import Host, Level, Request
from dolium.placing.slot import Slot

MOST = 256
"""Combinations remembered; the oldest makes room. A tenant chooses labels, so it needs a bound."""


class Terms(NamedTuple):
    """The conditions of a request that do not depend on what is used."""

    zone: str | None
    runtime: str | None
    labels: tuple[tuple[str, str], ...]
    capsule: bool


def terms(request: Request) -> Terms:
    """The conditions of a request."""
    labels = tuple(sorted(request.labels.items())) if request.labels else ()
    return Terms(request.zone, request.runtime, labels, request.capsule)


def meets(host: Host, asked: Terms) -> bool:
    """Whether a host is of the kind asked for and takes containers at all."""
    return (
        host.up
        and not host.disabled
        and (asked.zone is None or asked.zone == host.zone)
        and (asked.runtime is None or asked.runtime in host.runtimes)
        and (host.capsules or not asked.capsule)
        and all(host.labels.get(key) == value for key, value in asked.labels)
    )


class Bunch:
    """Slots in a list to walk, findable to take out."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self._at: dict[str, int] = {}

    def get(self, name: str) -> Slot | None:
        """The slot of that name, if it is in."""
        at = self._at.get(name)
        return None if at is None else self.slots[at]

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


class Area(Bunch):
    """One domain with the domains in it; a rack has the slots."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        """The domain as the paths of its slots have it."""
        self.areas: dict[str, Area] = {}

    def rack(self, slot: Slot) -> Area:
        """The rack of a slot, seen from the top."""
        area = self
        for name in slot.path[: Level.RACK + 1]:
            found = area.areas.get(name)
            if found is None:
                found = area.areas[name] = Area(name)
            area = found
        return area

    def leave(self, slot: Slot) -> None:
        """Take a slot out of its rack, and domains that are empty then out of those above."""
        above: list[Area] = [self]
        for name in slot.path[: Level.RACK + 1]:
            above.append(above[-1].areas[name])
        above[-1].drop(slot.name)
        for area, inner in zip(above[-2::-1], above[:0:-1], strict=True):
            if not inner.areas and not inner.slots:
                del area.areas[inner.name]


class Pool(Bunch):
    """The slots that meet one combination, and the same by domain once a group asks."""

    def __init__(self) -> None:
        super().__init__()
        self._top: Area | None = None

    @property
    def top(self) -> Area:
        """All domains that have a slot here."""
        if self._top is None:
            self._top = Area()
            for slot in self.slots:
                self._top.rack(slot).put(slot)
        return self._top

    def put(self, slot: Slot) -> None:
        """Add a slot, or put it in the place of the one of the same name."""
        if self._top is not None:
            known = self.get(slot.name)
            if known is not None and known.path != slot.path:
                self._top.leave(known)
            self._top.rack(slot).put(slot)
        super().put(slot)

    def drop(self, name: str) -> None:
        """Take a slot out; nothing when it is not in."""
        known = self.get(name)
        if self._top is not None and known is not None:
            self._top.leave(known)
        super().drop(name)
