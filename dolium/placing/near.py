"""Groups: where the members are, and which host the next one gets.

Members are counted by domain, so that the choice costs as much as there are domains, not hosts:
racks in the order in which the group wants them, then a host in the first rack that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple, TypeVar

from dolium.model.placing import Group, Level
from dolium.placing.pick import Policy, walk
from dolium.placing.pools import Area, Pool
from dolium.placing.slot import Load, Slot

T = TypeVar("T")

REGION, RACK, HOST, NODE = Level.REGION, Level.RACK, Level.HOST, Level.NODE
BELOW = (Level.ZONE, Level.RACK)
"""The next level, for regions and zones."""

Near = dict[str, int]
"""How many members of a group are in each domain that has one."""


def join(near: Near, path: Iterable[str], members: int = 1) -> None:
    """Count more (or, below zero, less) members on a host with this path."""
    for domain in path:
        count = near.get(domain, 0) + members
        if count > 0:
            near[domain] = count
        else:
            near.pop(domain, None)


class Rules(NamedTuple):
    """What a host has to meet for a group's sake, in one attempt at finding one."""

    affinity: Level | None
    anti_affinity: Level | None

    def allows(self, path: Sequence[str], near: Near) -> bool:
        """Whether a host in these domains will do; who comes first is near nobody."""
        together, apart = self.affinity, self.anti_affinity
        if together is not None and near and path[together] not in near:
            return False
        return apart is None or path[apart] not in near


def attempts(group: Group) -> tuple[Rules, ...]:
    """From all that the group wants to what it must have. To be near each other is given up
    first: being apart is what a group is for.
    """
    return _attempts(
        group.affinity, group.anti_affinity, group.soft_affinity, group.soft_anti_affinity
    )


@cache  # there are but six words for each
def _attempts(
    affinity: Level | None,
    anti_affinity: Level | None,
    soft_affinity: Level | None,
    soft_anti_affinity: Level | None,
) -> tuple[Rules, ...]:
    near = max(_given(affinity, soft_affinity), default=None)
    apart = min(_given(anti_affinity, soft_anti_affinity), default=None)
    wanted = (Rules(near, apart), Rules(affinity, apart), Rules(affinity, anti_affinity))
    return tuple(dict.fromkeys(wanted))


@cache
def _inside(rules: Rules) -> Rules:
    """What is left to look at on each host, where racks and above were chosen by the rules."""
    return Rules(*(level if level in (HOST, NODE) else None for level in rules))


def _given(*levels: Level | None) -> list[Level]:
    return [level for level in levels if level is not None]


def guarded(load: Load, rules: Rules, near: Near) -> Load:
    """The load of hosts that the rules allow; None of all others."""
    if not near or rules == (None, None):
        return load
    return lambda slot: load(slot) if rules.allows(slot.path, near) else None


class Seat:
    """Finds a place for one more member among the slots of a pool."""

    __slots__ = ("_near", "_policy", "_pool", "_rng", "_samples")

    def __init__(self, pool: Pool, near: Near, policy: Policy, rng: Random) -> None:
        self._pool = pool
        self._near = near
        self._policy = policy
        self._rng = rng
        self._samples = max(2, len(pool.slots).bit_length() * 3 // 4)

    def pick(self, group: Group, load: Load) -> Slot | None:
        """A host that meets the rules, soft ones if any can; None only if none can."""
        if not self._near:
            return self._policy.pick(self._pool.slots, load, self._rng)
        for rules in attempts(group):
            for racks in self._racks(*self._start(rules), rules):
                if racks[0].name in self._near:
                    found = self._among(racks, guarded(load, _inside(rules), self._near))
                else:
                    found = self._draw(racks, load)
                if found is not None:
                    return found
        return None

    def _start(self, rules: Rules) -> tuple[list[Area], Level]:
        """Where there is something to choose: most clouds have one region, many one zone."""
        area, level = self._pool.top, REGION
        while len(area.areas) == 1 and level is not RACK:
            ((name, inner),) = area.areas.items()
            if name not in self._near or level == rules.anti_affinity:
                break
            area, level = inner, BELOW[level]
        return [area], level

    def _racks(self, above: list[Area], level: Level, rules: Rules) -> Iterator[list[Area]]:
        """Racks in the order in which the group wants them, those it wants equally together:
        by how many members are in the region, then in the zone, then in the rack.
        """
        near = self._near
        if rules.affinity is None or level > rules.affinity:
            free = [one for area in above for name, one in area.areas.items() if name not in near]
            if free:
                yield _within(free, level)
        if rules.anti_affinity == level:
            return
        taken = [
            (near[name], one) for area in above for name, one in area.areas.items() if name in near
        ]
        for tied in _tied(taken):
            if level is RACK:
                yield tied
            else:
                yield from self._racks(tied, BELOW[level], rules)

    def _draw(self, racks: list[Area], fits: Load) -> Slot | None:
        """A host in one of the racks, which have no members."""
        if len(racks) == 1:
            return self._policy.pick(racks[0].slots, fits, self._rng)
        found = self._policy.pick(self._few(racks), fits, self._rng, self._samples)
        return found or self._each(racks, fits)

    def _few(self, racks: list[Area]) -> list[Slot]:
        """As many slots by chance as it takes to compare, from racks all over."""
        chance, n = self._rng.random, len(racks)
        return [
            (slots := racks[int(chance() * n)].slots)[int(chance() * len(slots))]
            for _ in range(self._samples)
        ]

    def _each(self, racks: list[Area], fits: Load) -> Slot | None:
        for step in walk(len(racks), self._rng):
            found = self._policy.pick(racks[step % len(racks)].slots, fits, self._rng)
            if found is not None:
                return found
        return None

    def _among(self, racks: list[Area], fits: Load) -> Slot | None:
        """A host where members are in each of these racks: machines without one first."""
        near = self._near

        def free(slot: Slot) -> float | None:
            return None if slot.path[HOST] in near else fits(slot)

        if (found := self._each(racks, free)) is not None:
            return found
        ranked = [
            ((near[slot.path[HOST]], near.get(slot.path[NODE], 0)), slot)
            for rack in racks
            for slot in rack.slots
            if slot.path[HOST] in near
        ]
        for tied in _tied(ranked):
            found = self._policy.pick(tied, fits, self._rng)
            if found is not None:
                return found
        return None


def _within(areas: list[Area], level: Level) -> list[Area]:
    """All racks of the areas of a level."""
    while level is not RACK:
        areas = [inner for area in areas for inner in area.areas.values()]
        level = BELOW[level]
    return areas


def _tied(ranked: list[tuple[Any, T]]) -> Iterable[list[T]]:
    """Those of the same rank together, the least first."""
    if len(ranked) == 1:
        return ([ranked[0][1]],)
    by: dict[Any, list[T]] = {}
    for rank, one in ranked:
        by.setdefault(rank, []).append(one)
    return [by[rank] for rank in sorted(by)]
