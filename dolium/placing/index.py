"""The hosts in memory, kept up to date change by change, and the decisions made on them.

    index = Index(Random())
    index.put(host)               # a host appeared or anything about it changed
    index.gather(groups)          # how many members of each group each host has
    name = index.pick(request)    # None: see index.why(request)
    index.take(name, request)     # placed: count it (the durable claim is the arbiter)
    index.back(name, request)     # a claim was lost or a container is gone
    index.count(name, used)       # what is used of it, as the database knows
    index.drop(name)              # a host is no more

Not for several threads at once: the placer owns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from dolium.model.placing import Amounts, Host, Request
from dolium.placing import why
from dolium.placing.near import Near, Seat, attempts, guarded, join
from dolium.placing.pick import Policy, Spread
from dolium.placing.pools import MOST, Pool, Terms, meets, terms
from dolium.placing.slot import Load, Slot, load, slot


class Index:
    """All hosts, and those that meet each combination of conditions asked so far."""

    def __init__(self, rng: Random, policy: Policy | None = None) -> None:
        self._rng = rng
        self._policy = policy or Spread()
        self._hosts: dict[str, Host] = {}
        self._slots: dict[str, Slot] = {}
        self._pools: dict[Terms, Pool] = {}
        self._groups: dict[int, Near] = {}
        self._met = 0
        """Hosts that met the conditions of the last pick."""

    def __len__(self) -> int:
        return len(self._hosts)

    def put(self, host: Host) -> None:
        """Add a host, or replace all that was known of it, including what is used."""
        self._hosts[host.name] = host
        self._slots[host.name] = made = slot(host)
        for asked, pool in self._pools.items():
            if meets(host, asked):
                pool.put(made)
            else:
                pool.drop(host.name)

    def drop(self, name: str) -> None:
        """Forget a host; an unknown one is forgotten already."""
        if self._hosts.pop(name, None) is None:
            return
        del self._slots[name]
        for pool in self._pools.values():
            pool.drop(name)

    def gather(self, groups: Mapping[int, Mapping[str, int]]) -> None:
        """Know these groups and no others: how many members of each are on each host."""
        self._groups = {group: {} for group in groups}
        for group, members in groups.items():
            for name, count in members.items():
                if name in self._slots:
                    join(self._groups[group], self._slots[name].path, count)

    def pick(self, request: Request) -> str | None:
        """The name of a host that fits, as the policy wants it; None only if none does."""
        asked, measure = terms(request), _load(request)
        best: Slot | None
        if request.host is not None or request.among is not None:
            best = self._named(request, asked, measure)
        else:
            pool = self._pools.get(asked) or self._pool(asked)
            self._met = len(pool.slots)
            if request.group is None:
                best = self._policy.pick(pool.slots, measure, self._rng)
            else:
                seat = Seat(pool, self._near(request), self._policy, self._rng)
                best = seat.pick(request.group, measure)
        return best.name if best else None

    def take(self, name: str, request: Request) -> None:
        """Count a request as placed on a host; an unknown host needs no counting."""
        if (at := self._slots.get(name)) is not None:
            at.add(request, 1)
            if request.group is not None:
                join(self._near(request), at.path)

    def back(self, name: str, request: Request) -> None:
        """Undo a `take`."""
        if (at := self._slots.get(name)) is not None:
            at.add(request, -1)
            if request.group is not None:
                join(self._near(request), at.path, -1)

    def count(self, name: str, used: Amounts) -> None:
        """Correct what is used of a known host, which others may have changed too."""
        at = self._slots[name]
        at.cpu, at.memory, at.disk, at.dedicated = (
            used.cpu_m,
            used.memory_mib,
            used.disk_gib,
            used.cpus,
        )

    def free(self, name: str) -> Amounts:
        """What a known host has left."""
        at = self._slots[name]
        return Amounts(
            at.cpus - at.cpu,
            at.memories - at.memory,
            at.disks - at.disk,
            at.dedicable - at.dedicated,
        )

    def path(self, name: str) -> tuple[str, ...]:
        """The domains a known host is in."""
        return self._slots[name].path

    def needs(self, name: str, request: Request) -> Amounts:
        """What a request takes of a known host: the same everywhere but for dedicated CPUs."""
        cpu_m = request.cpu_m + request.cpus * self._slots[name].per_dedicated
        return Amounts(cpu_m, request.memory_mib, request.disk_gib, request.cpus)

    def why(self, request: Request) -> str:
        """Which conditions removed how many hosts, for the user whose request did not fit."""
        near = self._near(request) if request.group is not None else {}
        return why.nowhere(
            [why.Known(host, self.free(name), near) for name, host in self._hosts.items()],
            request,
        )

    def because(self, name: str, request: Request) -> str:
        """Why the request goes to the host that was just picked; before it is taken."""
        near = self._near(request) if request.group is not None else {}
        return why.there(self._slots[name], request, self._policy.about, self._met, near)

    def _near(self, request: Request) -> Near:
        assert request.group is not None
        return self._groups.setdefault(request.group.id, {})

    def _named(self, request: Request, asked: Terms, measure: Load) -> Slot | None:
        """One of the hosts that the request names itself."""
        names: Iterable[str] = request.among if request.among is not None else (request.host or "",)
        slots = [
            self._slots[name]
            for name in sorted(names)
            if name in self._hosts
            and request.host in (None, name)
            and meets(self._hosts[name], asked)
        ]
        self._met = len(slots)
        if request.group is None:
            return self._policy.pick(slots, measure, self._rng)
        near = self._near(request)
        for rules in attempts(request.group):
            best = self._policy.pick(slots, guarded(measure, rules, near), self._rng)
            if best is not None:
                return best
        return None

    def _pool(self, asked: Terms) -> Pool:
        if len(self._pools) >= MOST:
            del self._pools[next(iter(self._pools))]
        self._pools[asked] = pool = Pool()
        for name, host in self._hosts.items():
            if meets(host, asked):
                pool.put(self._slots[name])
        return pool


def _load(request: Request) -> Load:
    """How full a slot would be with the request on it."""
    cpu, memory, disk = request.cpu_m, request.memory_mib, request.disk_gib
    cpus, avoid = request.cpus, request.avoid
    if not cpus and not avoid:
        return load(cpu, memory, disk)

    def measure(slot: Slot) -> float | None:
        if slot.name in avoid or (cpus and slot.dedicated + cpus > slot.dedicable):
            return None
        return load(cpu + cpus * slot.per_dedicated, memory, disk)(slot)

    return measure
