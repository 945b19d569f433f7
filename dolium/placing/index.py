"""The hosts in memory, kept up to date change by change, and the decisions made on them.

    index = Index(Random())
    index.put(host)               # a host appeared or anything about it changed
    name = index.pick(request)    # None: see index.why(request)
    index.take(name, request)     # placed: count it (the durable claim is the arbiter)
    index.back(name, request)     # a claim was lost or a container is gone
    index.count(name, used)       # what is used of it, as the database knows
    index.drop(name)              # a host is no more

Not for several threads at once: the placer owns it.
"""

from __future__ import annotations

from random import Random

from dolium.model.placing import Amounts, Host, Request
from dolium.placing.pick import pick
from dolium.placing.pools import MOST, Pool, Terms, meets, terms
from dolium.placing.slot import Slot, slot
from dolium.placing.why import why


class Index:
    """All hosts, and those that meet each combination of conditions asked so far."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._hosts: dict[str, Host] = {}
        self._slots: dict[str, Slot] = {}
        self._pools: dict[Terms, Pool] = {}

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

    def pick(self, request: Request) -> str | None:
        """The name of a host that fits, the emptier the likelier; None only if none does."""
        asked = terms(request)
        if request.host is not None:
            return self._pinned(request.host, asked, request)
        pool = self._pools.get(asked) or self._gather(asked)
        best = pick(pool.slots, request, self._rng)
        return best.name if best else None

    def take(self, name: str, request: Request) -> None:
        """Count a request as placed on a host; an unknown host needs no counting."""
        if name in self._slots:
            self._slots[name].add(request, 1)

    def back(self, name: str, request: Request) -> None:
        """Undo a `take`."""
        if name in self._slots:
            self._slots[name].add(request, -1)

    def count(self, name: str, used: Amounts) -> None:
        """Correct what is used of a known host, which others may have changed too."""
        at = self._slots[name]
        at.cpu, at.memory, at.disk = used.cpu_m, used.memory_mib, used.disk_gib

    def free(self, name: str) -> Amounts:
        """What a known host has left."""
        at = self._slots[name]
        return Amounts(at.cpus - at.cpu, at.memories - at.memory, at.disks - at.disk)

    def why(self, request: Request) -> str:
        """Which conditions removed how many hosts, for the user whose request did not fit."""
        return why([(host, self.free(name)) for name, host in self._hosts.items()], request)

    def _pinned(self, name: str, asked: Terms, request: Request) -> str | None:
        host = self._hosts.get(name)
        if host is None or not meets(host, asked):
            return None
        return name if pick([self._slots[name]], request, self._rng) else None

    def _gather(self, asked: Terms) -> Pool:
        if len(self._pools) >= MOST:
            del self._pools[next(iter(self._pools))]
        self._pools[asked] = pool = Pool()
        for name, host in self._hosts.items():
            if meets(host, asked):
                pool.put(self._slots[name])
        return pool
