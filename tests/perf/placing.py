"""Decisions per second over a filter scheduler of Nova's and Zun's shape, and how even they are."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from statistics import pstdev

from dolium.model.placing import Host, Level, Request
from dolium.placing.index import Index
from tests.perf.figure import Figure, alternate, raw
from tests.perf.mix import fleet, grouped, mix
from tests.perf.zunshape import Scheduler

OURS, ROUNDS = 20_000, 5
HOSTS, PEERS = 1000, 500
MANY, FEW_PEERS, FEW_ROUNDS = 10_000, 50, 3
"""The peer takes so long on many hosts that few of its decisions have to do."""

SPREAD_HOSTS, SPREAD_RACK, SPREAD = 200, 8, 2000


def measure() -> Iterable[Figure]:
    """Every decision is counted on its host, on both sides; the same requests, CPU time."""
    plain, groups = mix(OURS, Random(5)), grouped(OURS, Random(5))
    yield _speed("placing", fleet(HOSTS), plain, PEERS, ROUNDS, 100)
    yield _speed("placing-domains", fleet(HOSTS), groups, PEERS, ROUNDS, 100)
    yield _speed("placing-domains-10k", fleet(MANY), groups, FEW_PEERS, FEW_ROUNDS, 500)
    yield _evenness()
    yield _skew()


def _speed(
    name: str, hosts: list[Host], asked: list[Request], peers: int, rounds: int, target: float
) -> Figure:
    groups = any(request.group for request in asked)

    def ours() -> float:
        index = Index(Random(1))
        for host in hosts:
            index.put(host)
        start = time.process_time()
        for request in asked:
            _place(index, request)
        return (time.process_time() - start) / len(asked)

    def peer() -> float:
        scheduler = Scheduler(hosts, groups=groups)
        start = time.process_time()
        for request in asked[:peers]:
            scheduler.place(request)
        return (time.process_time() - start) / peers

    mine, theirs = alternate(rounds, ours, peer)
    what = ", domains and anti-affinity on," if groups else ""
    return Figure(
        name=name,
        what=f"Decisions per second on {len(hosts):,} hosts{what} over a filter-and-weigh loop "
        "(CPU time)",
        ours=f"{1 / mine.p50:,.0f}/s",
        peer=f"filter scheduler: {1 / theirs.p50:,.0f}/s",
        value=theirs.p50 / mine.p50,
        target=target,
        at_least=True,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _evenness() -> Figure:
    """The load of hosts after the same requests, over always taking the very best of all."""
    hosts, asked = fleet(SPREAD_HOSTS, SPREAD_RACK), grouped(SPREAD, Random(5))
    ours, best = Index(Random(1)), Index(Random(1))
    near: Counter[object] = Counter()
    for host in hosts:
        ours.put(host)
        best.put(host)
    for request in asked:
        _place(ours, request)
        name = _exhaustive(best, hosts, request, near)
        best.take(name, request)
        if request.group:
            near[request.group.id] += 1
            near.update((request.group.id, domain) for domain in best.path(name))
    mine, peer = _deviation(ours, hosts), _deviation(best, hosts)
    return Figure(
        name="placing-spread",
        what=f"Standard deviation of the load of {SPREAD_HOSTS} hosts over an exhaustive search, "
        "domains and anti-affinity on",
        ours=f"{mine:.4f}",
        peer=f"exhaustive: {peer:.4f}",
        value=mine / peer,
        target=1.5,
    )


def _load(index: Index, host: Host, request: Request | None = None) -> float:
    left, more = index.free(host.name), request
    cpu, memory = (more.cpu_m, more.memory_mib) if more else (0, 0)
    return max(
        1 - (left.cpu_m - cpu) / host.total.cpu_m,
        1 - (left.memory_mib - memory) / host.total.memory_mib,
    )


def _deviation(index: Index, hosts: Sequence[Host]) -> float:
    return pstdev(_load(index, host) for host in hosts)


def _exhaustive(
    index: Index, hosts: Sequence[Host], request: Request, near: Counter[object]
) -> str:
    """Of all hosts that fit the one with the fewest members around it, then the emptiest."""
    group = request.group

    def rank(host: Host) -> tuple[object, ...]:
        if group is None:
            return (_load(index, host, request),)
        counts = [near[group.id, domain] for domain in index.path(host.name)]
        soft = group.soft_anti_affinity
        return (soft is not None and counts[soft] > 0, *counts, _load(index, host, request))

    def fits(host: Host) -> bool:
        if request.zone not in (None, host.zone):
            return False
        if request.labels and host.labels["disk"] != request.labels["disk"]:
            return False
        if group is None or not near[group.id]:
            return True
        apart, together = group.anti_affinity, group.affinity
        path = index.path(host.name)
        return (apart is None or not near[group.id, path[apart]]) and (
            together is None or near[group.id, path[together]] > 0
        )

    return min(filter(fits, hosts), key=rank).name


def _skew() -> Figure:
    """The most uneven of all groups whose members may go anywhere and have to share racks."""
    hosts = fleet(SPREAD_HOSTS, SPREAD_RACK)
    index = Index(Random(1))
    for host in hosts:
        index.put(host)
    racks: dict[int, Counter[str]] = defaultdict(Counter)
    paths = {host.name: host.path for host in hosts}
    free = [r for r in grouped(SPREAD, Random(5)) if r.group and r.group.affinity is None]
    for request in free:
        group = request.group
        if group is None or request.zone or group.anti_affinity == Level.RACK:
            continue
        racks[group.id][paths[_place(index, request)][Level.RACK]] += 1
    names = {path[Level.RACK] for path in paths.values()}
    worst = max(_difference([found[name] for name in names]) for found in racks.values())
    return Figure(
        name="placing-skew",
        what=f"Most minus fewest members in a rack, worst of {len(racks)} groups",
        ours=str(worst),
        value=worst,
        target=1,
        unit="members",
    )


def _difference(counts: Sequence[int]) -> int:
    return max(counts) - min(counts)


def _place(index: Index, request: Request) -> str:
    name = index.pick(request)
    if name is None:
        raise RuntimeError(f"nothing fits: {index.why(request)}")
    index.take(name, request)
    return name
