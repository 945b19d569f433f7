"""A cloud of many processes under fire: afterwards each container is as wished, nothing leaks.

DOLIUM_CHAOS_S is how long in seconds (300), DOLIUM_SEED what happens (a run says its own),
on MariaDB if it is even, on PostgreSQL if it is odd.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.databases import SERVERS
from tests.live import matches, place, workload
from tests.live.cloud import Cloud, Host, Process, cloud
from tests.live.workload import Worker

pytestmark = pytest.mark.live

SECONDS = float(os.environ.get("DOLIUM_CHAOS_S", "300"))
SEED = int(os.environ.get("DOLIUM_SEED", "0")) or random.randrange(1, 10**6)
DATABASE = SERVERS[SEED % len(SERVERS)]
HOSTS = 3
WORKERS = 4
HEAL_S = 150.0
OPTIONS = {"quota": {"containers": "-1", "cpu": "-1", "memory": "-1"}}


@pytest.fixture(scope="module")
def made() -> Iterator[Cloud]:
    if why := place.missing() or DATABASE.missing():
        pytest.skip(f"a whole cloud: {why}")
    with cloud(DATABASE, HOSTS, OPTIONS) as made:
        yield made


class Chaos:
    """What may go wrong, and the dice. Whatever it breaks it mends after a while."""

    def __init__(self, cloud: Cloud, rng: random.Random) -> None:
        self._cloud = cloud
        self._rng = rng
        self._mending: list[threading.Thread] = []
        self.done: Counter[str] = Counter()
        self.odds: dict[Callable[[], str], int] = {
            self.kill_control: 6,
            self.kill_agent: 4,
            self.halt: 4,
            self.kill_engine: 3,
            self.cut: 3,
            self.fill: 2,
            self.jump: 2,
            self.kill_database: 1,
        }

    def strike(self) -> str:
        """One of them; returns what."""
        self._revive()
        what = self._rng.choices([*self.odds], [*self.odds.values()])[0]
        said = what()
        self.done[what.__name__] += 1
        return said

    def mend(self) -> None:
        """Wait until everything broken is whole again."""
        for each in self._mending:
            each.join()
        self._revive()
        for host in self._cloud.hosts:
            place.until(partial(_engine, host), f"the engine of {host.name} answers", 120)

    def _revive(self) -> None:
        """As systemd does with what has ended by itself, such as a start on a full disk."""
        for process in [*self._cloud.processes, *self._cloud.hosts]:
            if process.process is not None and process.process.poll() is not None:
                process.start()

    def _later(self, seconds: float, work: Callable[[], object]) -> None:
        def wait() -> None:
            time.sleep(seconds)
            work()

        thread = threading.Thread(target=wait, daemon=True)
        self._mending = [each for each in self._mending if each.is_alive()]
        self._mending.append(thread)
        thread.start()

    def _kill(self, process: Process) -> str:
        if process.process is None:
            return f"{process.name} is dead already"
        process.kill()
        self._later(self._rng.uniform(0, 3), process.start)
        return f"kill {process.name}"

    def kill_control(self) -> str:
        """An API or a conductor; systemd would start it again too."""
        return self._kill(self._rng.choice(self._cloud.processes))

    def kill_agent(self) -> str:
        """Containers go on."""
        return self._kill(self._rng.choice(self._cloud.hosts))

    def halt(self) -> str:
        """It does not know that time has passed."""
        process = self._rng.choice([*self._cloud.processes, *self._cloud.hosts])
        if process.process is None:
            return f"{process.name} is dead already"
        process.signal(signal.SIGSTOP)
        seconds = self._rng.uniform(1, 12)
        self._later(seconds, lambda: process.signal(signal.SIGCONT))
        return f"halt {process.name} for {seconds:.1f} s"

    def kill_engine(self) -> str:
        """dockerd or containerd of a host."""
        host = self._rng.choice(self._cloud.hosts)
        program = self._rng.choice(["dockerd", "dockerd", "containerd"])
        for pid in host.place.named(program)[:1]:
            host.place.kill(pid)
        return f"kill {program} of {host.name}"

    def cut(self) -> str:
        """Mostly short; a long one makes the host silent."""
        host: Host = self._rng.choice(self._cloud.hosts)
        seconds = self._rng.choice([self._rng.uniform(1, 8), self._rng.uniform(1, 8), 40.0])
        host.unplug()
        self._later(seconds, host.plug)
        return f"cut {host.name} off for {seconds:.1f} s"

    def fill(self) -> str:
        """A host's disk is full for a while."""
        host = self._rng.choice(self._cloud.hosts)
        seconds = self._rng.uniform(2, 8)
        host.fill()
        self._later(seconds, host.clear)
        return f"fill the disk of {host.name} for {seconds:.1f} s"

    def jump(self) -> str:
        """The wall clock of one process: certificates live for a day, everything else must not
        care.
        """
        process = self._rng.choice([*self._cloud.processes, *self._cloud.hosts])
        seconds = self._rng.choice([-3600, -60, 60, 3600, 0])
        process.jump(seconds)
        return f"the clock of {process.name} is {seconds:+d} s off"

    def kill_database(self) -> str:
        """What was acknowledged is on its disk."""
        self._cloud.database.kill()
        self._cloud.database.start()
        return "kill the database"


def _engine(host: Host) -> str:
    """Its version, once it answers."""
    return host.docker("version", "--format", "{{.Server.Version}}", check=False).strip()


def storm(cloud: Cloud, seconds: float, say: Callable[[str], None]) -> None:
    """Let it rage, then look."""
    rng = random.Random(SEED)
    chaos = Chaos(cloud, rng)
    workers = [Worker(cloud, number, SEED) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(rng.uniform(0.5, 4.0))
        say(f"{time.monotonic() - begun:6.1f} s  {chaos.strike()}")
    workload.finish(workers, 120)
    chaos.mend()
    asked = sum((worker.asked for worker in workers), Counter[str]())
    say(f"{time.monotonic() - begun:6.1f} s  {dict(chaos.done)}, asked {dict(asked)}")
    assert asked["create"] >= seconds / 20, f"hardly anything was asked for: {asked}"
    matches.soon(*cloud.hosts, seconds=HEAL_S)
    say(f"{time.monotonic() - begun:6.1f} s  everything matches")
    full = chaos.done["fill"] > 0
    assert workload.disagreements(workers, cloud, forgetful=full) == []


@pytest.mark.timeout(SECONDS + 600)
def test_anything_at_any_moment(made: Cloud) -> None:
    print(f"DOLIUM_SEED={SEED} DOLIUM_CHAOS_S={SECONDS:g}")
    try:
        storm(made, SECONDS, print)
    except BaseException:
        print(made.tail(80))
        raise


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_for_a_long_time(made: Cloud) -> None:
    print(f"DOLIUM_SEED={SEED}")
    for turn in range(10):
        print(f"turn {turn}")
        storm(made, max(SECONDS, 300), print)
