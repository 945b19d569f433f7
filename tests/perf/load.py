"""A hundred tenants at once on the all-in-one: `python -m tests.perf load [--minutes 5]`.

Each has a project, a user and one client, and does one thing after another for as long as it
lasts: runs a container, looks until it runs, lists, executes a command in it, deletes it and looks
until it is gone. Before, the same clients are connected and silent, and one of them reads: that is
what reads are compared with. The machine has nothing left over while it lasts, as engines start
containers as fast as they can, so reads show who waits for what. The clients, who would have
machines of their own, don't wait behind the engine for this one's processors: their threads have
the policy that Dolium's have.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.live import matches, place
from tests.live.installation import ENDS, IMAGE, Installation
from tests.live.people import tenants
from tests.live.place import Place
from tests.perf import report, wire
from tests.perf.figure import Figure, Samples, ms, raw

TENANTS = 100
MINUTES = 1.0
"""Of a bench; the whole run has five."""
READS = 1500
"""Of who reads alone."""
ALONE_S = 0.01
"""Its pause between two of them."""
RAMP_S = 10.0
"""Until all are at work; from then on it is measured."""
LOOK_S = 1.0
"""Between two looks of somebody who waits."""
PATIENCE_S = 180.0
"""How long a container may need while a hundred are made."""
OPTIONS = {"agent": {"look_s": "30"}}
"""As installed; other tests look oftener."""


class Tenant(threading.Thread):
    """Somebody with a project, a user and one connection."""

    def __init__(self, number: int, client: wire.Client, over: threading.Event) -> None:
        super().__init__(name=f"tenant-{number}", daemon=True)
        self.client = client
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        """Seconds of each exchange, by what was asked."""
        self.wrong: list[str] = []
        """What should not have been answered."""
        self._rng = random.Random(number)
        self._over = over

    def run(self) -> None:
        """One container after another until it is over."""
        try:
            while not self._over.is_set():
                self._live()
        except Exception as error:
            self.wrong.append(f"{self.name}: {error!r}")

    def ask(self, what: str, method: str, path: str, good: int, body: Any = None) -> Any:
        """One exchange; None when it was answered otherwise than expected."""
        sent = None if body is None else msgspec.json.encode(body)
        began = time.perf_counter()
        status, answer = self.client.raw(method, path, sent)
        self.took[what].append(time.perf_counter() - began)
        if status != good:
            self.wrong.append(f"{what}: {status} {answer[:300].decode(errors='replace')}")
            return None
        return msgspec.json.decode(answer) if answer else ""

    def create(self, *, run: bool) -> str:
        """Ask for a container; returns its id."""
        spec = {"name": "load", "image": IMAGE, "command": ENDS, "cpu": 0.1, "memory": "16"}
        made = self.ask("create", "POST", f"/v1/containers?run={str(run).lower()}", 202, spec)
        return str(made["uuid"])

    def read(self, uuid: str) -> None:
        """A list and a look at one."""
        self.ask("list", "GET", "/v1/containers", 200)
        self.ask("show", "GET", f"/v1/containers/{uuid}", 200)

    def _live(self) -> None:
        began = time.perf_counter()
        uuid = self.create(run=True)
        if not self._until(uuid, "Running"):
            return
        self.took["run"].append(time.perf_counter() - began)
        self.read(uuid)
        path = f"/v1/containers/{uuid}"
        said = self.ask("exec", "POST", f"{path}/execute?command=echo+hello", 200)
        if said is not None and said["output"] != "hello\n":
            self.wrong.append(f"exec: {said}")
        self.read(uuid)
        self.delete(uuid)

    def delete(self, uuid: str) -> None:
        """And look until it is gone."""
        path = f"/v1/containers/{uuid}"
        self.ask("delete", "DELETE", f"{path}?stop=true", 204)
        deadline = time.monotonic() + PATIENCE_S
        while self.client.raw("GET", path)[0] != 404:
            if time.monotonic() > deadline:
                self.wrong.append(f"{uuid} is not gone after {PATIENCE_S:g} s")
                return
            self._pause()

    def _until(self, uuid: str, status: str) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while shown := self.ask("show", "GET", f"/v1/containers/{uuid}", 200):
            if shown["status"] == status:
                return True
            if shown["status"] == "Error" or time.monotonic() > deadline:
                self.wrong.append(f"{uuid} is {shown['status']}: {shown['status_reason']}")
                return False
            self._pause()
        return False

    def _pause(self) -> None:
        time.sleep(LOOK_S * self._rng.uniform(0.5, 1.5))


class Outcome(msgspec.Struct):
    """What was measured."""

    alone: Samples
    """Reads of one client while the others are silent."""
    loaded: Samples
    """Reads of all while all work."""
    took: dict[str, list[float]]
    """Seconds of everything, by what was asked."""
    wrong: list[str]
    memory: list[float]
    """MiB of Dolium, every few seconds from when all tenants are at work."""

    @property
    def slower(self) -> float:
        """How many times the p99 of a read is what it is alone."""
        return p99(self.loaded) / p99(self.alone)

    @property
    def grown(self) -> float:
        """The memory of the last fifth over that of the second."""
        fifth = max(1, len(self.memory) // 5)
        early, late = self.memory[fifth : 2 * fifth], self.memory[-fifth:]
        return Samples(late).p50 / Samples(early).p50


def p99(samples: Samples) -> float:
    """The value that one in a hundred exceeds."""
    ordered = sorted(samples.values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


@contextmanager
def _elsewhere() -> Iterator[None]:
    """This thread, and those that it makes meanwhile, as if they ran on another machine."""
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


def play(minutes: float) -> Outcome:
    """All of it, on an installation of its own of which nothing may be left over."""
    with Place() as machine:
        installation = Installation(machine, options=OPTIONS).up()
        over = threading.Event()
        with _elsewhere(), _tenants(installation, over) as crowd:
            alone = _alone(crowd)
            for tenant in crowd:
                tenant.took.clear()
            memory = _loaded(installation, crowd, over, minutes)
        took: defaultdict[str, list[float]] = defaultdict(list)
        for tenant in crowd:
            for what, seconds in tenant.took.items():
                took[what] += seconds
        wrong = [each for tenant in crowd for each in tenant.wrong]
        matches.soon(installation, seconds=120)
        installation.down()
    return Outcome(alone, Samples(took["list"] + took["show"]), dict(took), wrong, memory)


@contextmanager
def _tenants(installation: Installation, over: threading.Event) -> Iterator[list[Tenant]]:
    known = tenants(installation, [f"load-{number}" for number in range(TENANTS)])
    made = [
        Tenant(number, installation.connect(token, number), over)
        for number, token in enumerate(known)
    ]
    try:
        yield made
    finally:
        for tenant in made:
            tenant.client.close()


def _alone(crowd: list[Tenant]) -> Samples:
    """What reads take when nobody else asks."""
    for each in crowd:  # all are signed in and connected
        each.ask("list", "GET", "/v1/containers", 200)
    tenant = crowd[0]
    uuid = tenant.create(run=False)
    time.sleep(2)
    tenant.took.clear()
    for _ in range(READS):
        tenant.read(uuid)
        time.sleep(ALONE_S)
    reads = Samples(tenant.took["list"] + tenant.took["show"])
    tenant.delete(uuid)
    return reads


def _loaded(
    installation: Installation, crowd: list[Tenant], over: threading.Event, minutes: float
) -> list[float]:
    """All at work; returns Dolium's memory meanwhile."""
    pid = installation.pid
    for tenant in crowd:
        tenant.start()
        time.sleep(RAMP_S / len(crowd))
    for tenant in crowd:
        tenant.took.clear()
    end, memory = time.monotonic() + minutes * 60, []
    while time.monotonic() < end:
        memory.append(_resident_mib(installation, pid))
        time.sleep(2)
    over.set()
    for tenant in crowd:
        tenant.join(3 * PATIENCE_S)
        if tenant.is_alive():
            tenant.wrong.append(f"{tenant.name} hangs")
    return memory


def _resident_mib(installation: Installation, pid: int) -> float:
    """Memory of a process inside."""
    text = (installation.place.root / "proc" / str(pid) / "status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if "VmRSS" in line) / 1024


def measure(minutes: float = MINUTES) -> Iterable[Figure]:
    """Root and an engine are needed."""
    what = f"{TENANTS} tenants at once"
    if missing := place.missing():
        yield Figure(name="load", what=what, target=0, note=f"not measured: {missing}")
        return
    found = play(minutes)
    done = ", ".join(f"{len(found.took[name])} {name}s" for name in ("run", "exec", "delete"))
    yield Figure(
        name="load-reads",
        what=f"p99 of reads while {what} create, list, exec and delete, over that of one client "
        "while the others are silent",
        ours=f"{_shown(found.loaded)} (p50/p99), {len(found.loaded.values)} reads, {done} in "
        f"{minutes:g} min",
        peer=f"alone: {_shown(found.alone)}",
        value=found.slower,
        target=5,
        raw=raw(**{f"{name}_s": values for name, values in found.took.items()}),
        note="; ".join(
            f"{name} {_shown(Samples(values))}" for name, values in sorted(found.took.items())
        ),
    )
    yield Figure(
        name="load-errors",
        what=f"Answers to {what} that what they asked did not earn",
        ours="; ".join(found.wrong[:5]) or "none",
        peer="none: a budget",
        value=len(found.wrong),
        target=0,
        unit="answers",
    )
    yield Figure(
        name="load-memory",
        what=f"Memory of the all-in-one at the end over that in the first half, {what}",
        ours=f"{found.memory[-1]:.1f} MiB",
        peer=f"at the beginning: {found.memory[0]:.1f} MiB",
        value=found.grown,
        target=1.1,
        raw=raw(ours_mib=found.memory),
    )


def _shown(samples: Samples) -> str:
    return f"{ms(samples.p50)} / {ms(p99(samples))}"


def main(arguments: list[str]) -> int:
    """As long as is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    figures = list(measure(parser.parse_args(arguments).minutes))
    print(report.table(figures))
    return int(not all(figure.met for figure in figures))
