"""The conductor role: threads around the placer and the sweeping of what is old."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from dolium import errors
from dolium.control.claims import Claims
from dolium.control.commits import Uploads
from dolium.control.hypervisors import Hypervisors
from dolium.control.images import Fetcher
from dolium.control.lost import Lost
from dolium.control.placer import Placer
from dolium.model.clock import Clock
from dolium.store import (
    actions,
    commits,
    consoles,
    containers,
    groups,
    hosts,
    images,
    projects,
    settlements,
)
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

JOURNAL_S = 30 * 86400.0
"""How long closed actions, deletions and changes are remembered."""
SWEEP_S = 3600.0
LOOK_S = 5.0
"""A placer that missed its hint looks after this time all the same."""
END_S = 5.0
STUCK_S = 60.0
"""A turn of placer or judge takes no longer, whatever the database does."""
FETCH_S = 0.5
"""Between two looks at images that hosts are pulling."""
PATIENT = frozenset({"healer", "claimer", "finder", "fetcher", "uploader"})
"""Threads that may wait for something outside."""
WATCH_S = 1.0
"""Between two looks at hosts' signs of life."""


class Conductor:
    """Runs until stopped; every piece of work is safe to be killed and to run twice."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        placer: Placer,
        lost: Lost,
        claims: Claims | None = None,
        hypervisors: Hypervisors | None = None,
        fetcher: Fetcher | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        """claims: where Placement has the last word. hypervisors: where Nova tells of them.
        fetcher: where there is a way to hosts. uploads: where there is a Glance too.
        """
        self._store = store
        self._clock = clock
        self._placer = placer
        self._lost = lost
        self._stopping = threading.Event()
        self._turned: dict[str, float] = {}
        """When a thread last began a turn, on this process's own clock."""
        self._threads = [
            threading.Thread(target=self._place, name="placer", daemon=True),
            threading.Thread(target=self._sweep, name="sweeper", daemon=True),
            threading.Thread(target=self._watch, name="judge", daemon=True),
            threading.Thread(target=self._heal, name="healer", daemon=True),
        ]
        if claims is not None:
            claimer = partial(self._claim, claims)
            self._threads.append(threading.Thread(target=claimer, name="claimer", daemon=True))
        if hypervisors is not None:
            finder = partial(self._find, hypervisors)
            self._threads.append(threading.Thread(target=finder, name="finder", daemon=True))
        if fetcher is not None:
            fetch = partial(self._fetch, fetcher)
            self._threads.append(threading.Thread(target=fetch, name="fetcher", daemon=True))
        if uploads is not None:
            upload = partial(self._upload, uploads)
            self._threads.append(threading.Thread(target=upload, name="uploader", daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the pass under way and end."""
        self._stopping.set()
        self._store.hints.give("placer")
        self._store.hints.give(settlements.TOPIC)
        self._store.hints.give(images.TOPIC)
        self._store.hints.give(commits.TOPIC)
        for thread in self._threads:
            # Proofs that hosts are off, Placement, Nova and hosts may take long; nobody need wait.
            thread.join(END_S if thread.name in PATIENT else None)

    def _place(self) -> None:
        while not self._stopping.is_set():
            self._turns("placer")
            seen = self._store.hints.count("placer")
            if not self._safely(self._placer.turn):
                self._store.hints.wait("placer", seen, LOOK_S)

    def _claim(self, claims: Claims) -> None:
        while not self._stopping.is_set():
            seen = self._store.hints.count(settlements.TOPIC)
            if not self._safely(claims.turn):
                self._store.hints.wait(settlements.TOPIC, seen, LOOK_S)

    def _find(self, hypervisors: Hypervisors) -> None:
        while not self._stopping.wait(WATCH_S):
            while not self._stopping.is_set() and self._safely(hypervisors.turn):
                pass

    def _fetch(self, fetcher: Fetcher) -> None:
        while not self._stopping.is_set():
            seen = self._store.hints.count(images.TOPIC)
            open_ = self._safely(fetcher.turn)
            self._store.hints.wait(images.TOPIC, seen, FETCH_S if open_ else LOOK_S)

    def _upload(self, uploads: Uploads) -> None:
        while not self._stopping.is_set():
            seen = self._store.hints.count(commits.TOPIC)
            self._safely(uploads.turn)
            wait_s = FETCH_S if uploads.waits else LOOK_S
            self._store.hints.wait(commits.TOPIC, seen, wait_s)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_S):
            self._turns("judge")
            self._safely(self._lost.judge)

    def _heal(self) -> None:
        """Apart from the judge, because a proof that a host is off may take its time."""
        while not self._stopping.wait(WATCH_S):
            while not self._stopping.is_set() and self._safely(self._lost.fence):
                self._safely(self._lost.heal)  # who is proven need not wait for the next proof
            self._safely(self._lost.heal)

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_S):
            self._safely(self.sweep)

    def sweep(self) -> int:
        """Forget what is older than the journal's time."""
        before = self._clock.now() - JOURNAL_S

        def work(tx: Tx) -> int:
            for host, horizon in containers.trim(tx, before).items():
                hosts.forget(tx, host, horizon)
            projects.trim(tx, before)
            groups.trim(tx)
            settlements.trim(tx, before)
            consoles.trim(tx, self._clock.now())
            return actions.trim(tx, before)

        return self._store.write(work)

    def check(self) -> str | None:
        """Whether the threads turn that always do: what is wrong, or None."""
        now = self._clock.monotonic()
        stuck = [
            thread.name
            for thread in self._threads
            if not thread.is_alive()
            or now - self._turned.get(thread.name, now) > STUCK_S  # a fence may take long
        ]
        return f"The conductor's threads do not turn: {', '.join(stuck)}" if stuck else None

    def _turns(self, name: str) -> None:
        self._turned[name] = self._clock.monotonic()

    def _safely(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except errors.Shutdown:
            return 0
        except errors.Error as error:
            LOG.warning("%s; trying again", error)
        except Exception:
            LOG.exception("a pass failed; trying again")
        self._stopping.wait(1.0)
        return 0
