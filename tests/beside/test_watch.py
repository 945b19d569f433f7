"""A watched process comes back after its death, with patience that grows, and says so."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dolium.beside import watch as module
from dolium.beside.process import Process, environment
from dolium.beside.watch import Watch, backoff
from dolium.errors import StartError

PATIENCE = 30.0


class Still(random.Random):
    """Jitter that never waits."""

    def uniform(self, a: float, b: float) -> float:
        return a


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sleeper(folder: Path) -> Process:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    pidfile, log = folder / "pid", folder / "log"
    return Process("sleeper", command, pidfile=pidfile, log=log, environment=environment())


def test_backoff_is_full_jitter_below_a_growing_limit() -> None:
    rng = random.Random(1)
    for failures in range(100):
        limit = min(module.LIMIT, module.BASE * 2**failures)
        waits = [backoff(failures, rng) for _ in range(200)]
        assert 0 <= min(waits) < limit / 4 and limit * 3 / 4 < max(waits) <= limit


def test_a_killed_process_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    process, said = sleeper(tmp_path), list[str]()
    first = process.start()
    watch = Watch(process, process.start, said.append, rng=Still())
    watch.start()
    os.kill(first, signal.SIGKILL)
    until(lambda: len(said) == 2)
    watch.stop()
    assert process.pid != first and process.alive()
    assert said == [
        "sleeper was killed by signal 9; starting it again in 0.0 s",
        f"sleeper runs again (pid {process.pid})",
    ]
    process.stop()


def test_a_start_that_fails_is_tried_again(tmp_path: Path) -> None:
    process, said, tries = sleeper(tmp_path), list[str](), list[int]()

    def restart() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StartError(why="no room")
        process.start()

    pid = process.start()
    watch = Watch(process, restart, said.append, rng=Still())
    watch.start()
    os.kill(pid, signal.SIGTERM)
    until(lambda: len(said) == 4)
    watch.stop()
    assert len(tries) == 3 and process.alive()
    assert said[1] == "sleeper could not be started (no room); starting it again in 0.0 s"
    process.stop()


def test_stop_interrupts_a_long_wait(tmp_path: Path) -> None:
    class Long(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 3600.0

    process, waiting = sleeper(tmp_path), threading.Event()
    pid = process.start()
    watch = Watch(process, process.start, lambda _: waiting.set(), rng=Long())
    watch.start()
    os.kill(pid, signal.SIGKILL)
    assert waiting.wait(PATIENCE)
    watch.stop()
    watch.stop()
    assert not process.alive()


def test_what_is_stopped_after_its_watch_stays_stopped(tmp_path: Path) -> None:
    process, said = sleeper(tmp_path), list[str]()
    process.start()
    watch = Watch(process, process.start, said.append)
    watch.start()
    watch.stop()
    process.stop()
    assert said == [] and not process.alive()
