"""Keeps a process beside Dolium running: notices its end and starts it again, not too eagerly."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable

from dolium import errors
from dolium.beside.process import Process
from dolium.model.clock import Clock, SystemClock

BASE = 0.5
"""Seconds that the first wait lasts at most; doubled with every failure."""
LIMIT = 60.0
"""Seconds that any wait lasts at most."""
STEADY = 60.0
"""Seconds after which a process counts as healthy and its failures are forgotten."""


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row: full jitter, so that herds spread."""
    return rng.uniform(0, min(LIMIT, BASE * 2 ** min(failures, 16)))


class Watch:
    """A thread that waits for the end of one process without polling.

    Args:
        process: what is watched.
        restart: called after a death; starts what is not running and raises StartError if it can't.
        say: called with one readable sentence each time something happens.
        rng: where the jitter comes from.
        clock: tells how long a process has lasted.
    """

    def __init__(
        self,
        process: Process,
        restart: Callable[[], object],
        say: Callable[[str], None],
        *,
        rng: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._process = process
        self._restart = restart
        self._say = say
        self._rng = rng or random.Random()
        self._clock = clock or SystemClock()
        self._stopping = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"watch-{process.name}", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, before the process is stopped on purpose. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        os.eventfd_write(self._wake, 1)
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._wake)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            since = self._clock.monotonic()
            ended = self._process.ended(3600.0, self._wake)
            if self._clock.monotonic() - since > STEADY:
                failures = 0
            if ended:
                failures = self._revive(failures)

    def _revive(self, failures: int) -> int:
        """Start it again, waiting before each try; returns the failures in a row."""
        why = self._why()
        while not self._stopping.is_set():
            wait = backoff(failures, self._rng)
            failures += 1
            self._say(f"{self._process.name} {why}; starting it again in {wait:.1f} s")
            if self._stopping.wait(wait):
                break
            try:
                self._restart()
            except (errors.StartError, OSError) as error:
                why = f"could not be started ({error})"
                continue
            self._say(f"{self._process.name} runs again (pid {self._process.pid})")
            break
        return failures

    def _why(self) -> str:
        self._process.alive()  # takes the exit code
        code = self._process.exit
        if code is None:
            return "ended"
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
