"""Starts per second when eight users ask at once, over Docker's own API on the same network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.perf.figure import Figure, alternate, raw
from tests.perf.installation import Owned
from tests.perf.lab import Lab
from tests.perf.plain import like
from tests.perf.starts import shape

USERS, EACH, ROUNDS = 8, 7, 4
"""Rounds as long as the addresses for command-line users allow: its end, when fewer than eight are
left, counts little."""
LOOK_S = 0.1


class Watch:
    """Asks for all users at once what is not ready yet, as a service that waits for many does.

    Eight who look for themselves would take a tenth of the machine from what they wait for, while
    Docker's callers are told.
    """

    def __init__(self, user: Owned) -> None:
        self._user = user
        self._moved = threading.Condition()
        self._awaited: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def until_runs(self, user: Owned, uuid: str) -> None:
        """Wait for the user's container; raises when it is in Error instead."""
        with self._moved:
            self._awaited.add(uuid)
            settled = self._moved.wait_for(lambda: uuid not in self._awaited, timeout=120)
        status = user.client.ask("GET", f"/v1/containers/{uuid}")["status"]
        if not settled or status != "Running":
            raise RuntimeError(f"{uuid} is {status}")

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            with self._moved:
                awaited = frozenset(self._awaited)
            found = self._user.client.ask("GET", "/v1/containers?status=Creating")["containers"]
            with self._moved:
                self._awaited -= awaited - {each["uuid"] for each in found}
                self._moved.notify_all()


def measure(lab: Lab) -> Iterable[Figure]:
    """Time until the last of all runs; the same image and limits on both sides."""
    total = USERS * EACH
    pattern = shape(lab)
    body = like(pattern, str(pattern["HostConfig"]["NetworkMode"]))
    users = [Owned(lab.installation.client("admin-openrc")) for _ in range(USERS)]
    watcher = Owned(lab.installation.client("admin-openrc"))
    dockers = [lab.installation.docker() for _ in range(USERS)]
    with ThreadPoolExecutor(USERS) as pool:

        def together(work: Callable[[int], list[str]]) -> tuple[float, list[list[str]]]:
            start = time.perf_counter()
            made = list(pool.map(work, range(USERS)))
            return time.perf_counter() - start, made

        def ours() -> float:
            with Watch(watcher) as watch:
                took, made = together(lambda at: _run(users[at], watch))
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


def _run(user: Owned, watch: Watch) -> list[str]:
    made = []
    for _ in range(EACH):
        made.append(user.create("bench", run=True))
        watch.until_runs(user, made[-1])
    return made


def _end(user: Owned, made: list[str]) -> None:
    for uuid in made:
        user.delete(uuid)
    for uuid in made:
        user.gone(uuid)
