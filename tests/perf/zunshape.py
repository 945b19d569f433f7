"""The peer of placing: a filter scheduler of the shape Nova and Zun have, written for measuring.

Per request every host state passes through a list of filter objects, each with a method call of
its own; the survivors are weighed by a list of weighers, each normalised over all survivors; the
weighed hosts are sorted and one of the best is taken. Unlike the originals it loads nothing from
a database per request, copies no objects and writes no log, so it is their floor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from dolium.model.placing import Host, Level, Request


class State:
    """A host as the scheduler knows it."""

    def __init__(self, host: Host, members: Counter[object]) -> None:
        """members: how many of a group there are, and in each domain; one for all hosts."""
        self.host = host
        self.cpu_total, self.cpu_used = host.total.cpu_m, host.total.cpu_m - host.free.cpu_m
        self.mem_total = host.total.memory_mib
        self.mem_used = host.total.memory_mib - host.free.memory_mib
        self.disk_total = host.total.disk_gib
        self.disk_used = host.total.disk_gib - host.free.disk_gib
        self.path = host.path
        self.members = members

    def consume(self, request: Request) -> None:
        if request.group is not None:
            self.members[request.group.id] += 1
            for domain in self.path:
                self.members[request.group.id, domain] += 1
        self.cpu_used += request.cpu_m
        self.mem_used += request.memory_mib
        self.disk_used += request.disk_gib


class Filter:
    """One condition over all hosts, host by host."""

    def passes(self, state: State, request: Request) -> bool:
        raise NotImplementedError

    def all(self, states: Iterable[State], request: Request) -> Iterator[State]:
        for state in states:
            if self.passes(state, request):
                yield state


class Up(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return state.host.up and not state.host.disabled


class Zone(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return request.zone is None or request.zone == state.host.zone


class Label(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return all(state.host.labels.get(key) == value for key, value in request.labels.items())


class Runtime(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return request.runtime is None or request.runtime in state.host.runtimes


class Cpu(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return state.cpu_used + request.cpu_m <= state.cpu_total


class Memory(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return state.mem_used + request.memory_mib <= state.mem_total


class Disk(Filter):
    def passes(self, state: State, request: Request) -> bool:
        return not request.disk_gib or state.disk_used + request.disk_gib <= state.disk_total


class Apart(Filter):
    def passes(self, state: State, request: Request) -> bool:
        group = request.group
        if group is None or group.anti_affinity is None:
            return True
        return (group.id, state.path[group.anti_affinity]) not in state.members


class Together(Filter):
    def passes(self, state: State, request: Request) -> bool:
        group = request.group
        if group is None or group.affinity is None or group.id not in state.members:
            return True
        return (group.id, state.path[group.affinity]) in state.members


Weigher = Callable[[State, Request], float]


def _cpu(state: State, _request: Request) -> float:
    return 1 - state.cpu_used / state.cpu_total


def _memory(state: State, _request: Request) -> float:
    return 1 - state.mem_used / state.mem_total


def _spread(state: State, request: Request) -> float:
    """Few members of the group in the rack."""
    if request.group is None:
        return 0.0
    return -state.members[request.group.id, state.path[Level.RACK]]


class Scheduler:
    """All host states, the filters in order and the weighers."""

    def __init__(self, hosts: list[Host], *, groups: bool = False) -> None:
        members: Counter[object] = Counter()
        self.states = [State(host, members) for host in hosts]
        self.filters = [Up(), Zone(), Label(), Runtime(), Cpu(), Memory(), Disk()]
        self.weighers: list[Weigher] = [_cpu, _memory]
        if groups:
            self.filters += [Apart(), Together()]
            self.weighers.append(_spread)

    def place(self, request: Request) -> str | None:
        """Choose a host and count the request on it."""
        left = self.states
        for each in self.filters:
            left = list(each.all(left, request))
        weighed = self._weigh(left, request)
        if not weighed:
            return None
        best = weighed[0][1]
        best.consume(request)
        return best.host.name

    def _weigh(self, states: list[State], request: Request) -> list[tuple[float, State]]:
        sums = [0.0] * len(states)
        for weigher in self.weighers:
            raw = [weigher(state, request) for state in states]
            low, high = min(raw, default=0.0), max(raw, default=0.0)
            width = high - low or 1.0
            for at, value in enumerate(raw):
                sums[at] += (value - low) / width
        weighed = list(zip(sums, states, strict=True))
        weighed.sort(key=lambda pair: pair[0], reverse=True)
        return weighed
