"""Kill any process at any moment: afterwards each container is as wished or gone, nothing leaks.

DOLIUM_KILLS is how many kills (30), DOLIUM_SEED which ones (a run says its own).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.live import matches, workload
from tests.live.installation import Installation, Owned
from tests.live.place import until
from tests.live.workload import Worker

pytestmark = pytest.mark.live

OPTIONS = {"quota": {"containers": "-1", "cpu": "-1", "memory": "-1"}}
KILLS = int(os.environ.get("DOLIUM_KILLS", "30"))
SEED = int(os.environ.get("DOLIUM_SEED", "0")) or random.randrange(1, 10**6)
WORKERS = 4
HEAL_S = 120.0

ODDS = {"dolium": 14, "dockerd": 8, "containerd": 3, "keystone": 5}


class Reaper:
    """Kills what it is told to."""

    def __init__(self, installation: Installation, rng: random.Random) -> None:
        self._installation = installation
        self._rng = rng
        self.killed: Counter[str] = Counter()

    def strike(self, what: str) -> None:
        """One kill; Dolium is started again by us, at once or while it is still starting."""
        {"dolium": self._dolium}.get(what, lambda: self._beside(what))()

    def _dolium(self) -> None:
        self._installation.kill()
        self.killed["dolium"] += 1
        self._installation.start()
        if self._rng.random() < 0.75:
            self._installation.ready()
        else:  # the next kill may come while it is starting
            time.sleep(self._rng.uniform(0.0, 1.5))

    def _beside(self, what: str) -> None:
        place = self._installation.place
        found = (
            [p for p, line in place.processes().items() if "dolium.beside.keystone_server" in line]
            if what == "keystone"
            else place.named(what)
        )
        for pid in found[:1]:  # none: it is being started again just now
            place.kill(pid)
            self.killed[what] += 1


def _plan(rng: random.Random, kills: int) -> list[str]:
    whole = [what for what, odds in ODDS.items() for _ in range(odds)]
    plan = (whole * (kills // len(whole) + 1))[:kills] if kills >= len(whole) else whole[:kills]
    rng.shuffle(plan)
    return plan


def _storm(installation: Installation, kills: int, say: Callable[[str], None]) -> None:
    rng = random.Random(SEED)
    reaper = Reaper(installation, rng)
    workers = [Worker(installation, number, SEED) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    begun = time.monotonic()
    for what in _plan(rng, kills):
        time.sleep(rng.uniform(0.2, 1.8))
        say(f"{time.monotonic() - begun:6.1f} s  kill {what}")
        reaper.strike(what)
    while sum(reaper.killed.values()) < kills:
        time.sleep(rng.uniform(0.3, 1.0))
        reaper.strike("dolium")
    workload.finish(workers, 90)
    installation.kill()
    installation.start()
    installation.ready()
    asked = sum((worker.asked for worker in workers), Counter[str]())
    say(f"{time.monotonic() - begun:6.1f} s  killed {dict(reaper.killed)}, asked {dict(asked)}")
    assert asked["create"] >= kills / 3, f"hardly anything was asked for: {asked}"
    matches.soon(installation, seconds=HEAL_S)
    say(f"{time.monotonic() - begun:6.1f} s  everything matches")
    assert workload.disagreements(workers, installation) == []


def test_any_process_at_any_moment(installation: Installation) -> None:
    print(f"DOLIUM_SEED={SEED} DOLIUM_KILLS={KILLS}")
    _storm(installation, KILLS, print)
    with installation.client() as client:
        Owned(client).clear()

    def left() -> list[str]:
        differences = matches.Look(installation).differences()
        # A network goes when two tidyings in a row find that nobody needs it: not waited for here.
        return [each for each in differences if "network" not in each and "bridge" not in each]

    try:
        until(lambda: not left(), "nothing is left", step=0.3)
    except AssertionError as error:
        raise AssertionError(f"still different: {left()}") from error


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_for_a_long_time(installation: Installation) -> None:
    print(f"DOLIUM_SEED={SEED}")
    for turn in range(10):
        print(f"turn {turn}")
        _storm(installation, max(KILLS, 100), print)
        with installation.client() as client:
            Owned(client).clear()
        matches.soon(installation, seconds=HEAL_S)
        links = installation.place.run("ip", "-br", "link").splitlines()
        assert [line.split()[0] for line in links] == ["lo"]
