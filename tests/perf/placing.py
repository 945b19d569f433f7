"""Decisions per second on 1,000 hosts, over a filter scheduler of Nova's and Zun's shape."""

from __future__ import annotations

import time
from collections.abc import Iterable
from random import Random

from dolium.model.placing import Request
from dolium.placing.index import Index
from tests.perf.figure import Figure, alternate, raw
from tests.perf.mix import fleet, mix
from tests.perf.zunshape import Scheduler

HOSTS, OURS, PEERS, ROUNDS = 1000, 20_000, 500, 5


def measure() -> Iterable[Figure]:
    """Every decision is counted on its host, on both sides; the same requests, CPU time."""
    hosts, asked = fleet(HOSTS), mix(OURS, Random(5))

    def ours() -> float:
        index = Index(Random(1))
        for host in hosts:
            index.put(host)
        start = time.process_time()
        for request in asked:
            _place(index, request)
        return (time.process_time() - start) / len(asked)

    def peer() -> float:
        scheduler = Scheduler(hosts)
        start = time.process_time()
        for request in asked[:PEERS]:
            scheduler.place(request)
        return (time.process_time() - start) / PEERS

    mine, theirs = alternate(ROUNDS, ours, peer)
    yield Figure(
        name="placing",
        what="Decisions per second on 1,000 hosts over a filter-and-weigh loop (CPU time)",
        ours=f"{1 / mine.p50:,.0f}/s",
        peer=f"filter scheduler: {1 / theirs.p50:,.0f}/s",
        value=theirs.p50 / mine.p50,
        target=100,
        at_least=True,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _place(index: Index, request: Request) -> None:
    name = index.pick(request)
    if name is None:
        raise RuntimeError(f"nothing fits: {index.why(request)}")
    index.take(name, request)
