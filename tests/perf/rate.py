"""Starts per second when eight users ask at once, over Docker's own API on the same network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.perf.figure import Figure, alternate, raw
from tests.perf.installation import Owned
from tests.perf.lab import Lab
from tests.perf.plain import like
from tests.perf.starts import shape

USERS, EACH, ROUNDS = 8, 3, 3
LOOK_S = 0.05
"""Eight users who looked more often would themselves slow down what they wait for."""


def measure(lab: Lab) -> Iterable[Figure]:
    """Time until the last of all runs; the same image and limits on both sides."""
    total = USERS * EACH
    pattern = shape(lab)
    body = like(pattern, str(pattern["HostConfig"]["NetworkMode"]))
    users = [Owned(lab.installation.client("admin-openrc")) for _ in range(USERS)]
    dockers = [lab.installation.docker() for _ in range(USERS)]
    with ThreadPoolExecutor(USERS) as pool:

        def together(work: Callable[[int], list[str]]) -> tuple[float, list[list[str]]]:
            start = time.perf_counter()
            made = list(pool.map(work, range(USERS)))
            return time.perf_counter() - start, made

        def ours() -> float:
            took, made = together(lambda at: _run(users[at]))
            list(pool.map(_end, users, made))
            return took

        def peer() -> float:
            took, made = together(lambda at: [dockers[at].start(body) for _ in range(EACH)])
            for docker, idents in zip(dockers, made, strict=True):
                for ident in idents:
                    docker.remove(ident)
            return took

        mine, theirs = alternate(ROUNDS, ours, peer)
    yield Figure(
        name="starts-per-second",
        what=f"Starts per second, {USERS} at once, over Docker's API on the same network",
        ours=f"{total / mine.p50:.2f}/s",
        peer=f"Docker: {total / theirs.p50:.2f}/s",
        value=theirs.p50 / mine.p50,
        target=0.95,
        at_least=True,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _run(user: Owned) -> list[str]:
    made = []
    for _ in range(EACH):
        made.append(user.create("bench", run=True))
        user.until(made[-1], "Running", LOOK_S)
    return made


def _end(user: Owned, made: list[str]) -> None:
    for uuid in made:
        user.delete(uuid)
    for uuid in made:
        user.gone(uuid)
