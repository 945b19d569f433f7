"""Agents without machines, many in one process: `python -m tests.perf.agents FOLDER HOSTS URL...`.

Each speaks the https link as the real one does (the same client, a certificate of its own, a poll
that waits, facts posted beside it); what it is told to run runs at once, what is to go is gone.
The process is told by lines on its standard input: `go`, and `report FILE` for what happened when.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.agent import policy
from dolium.agent.agent import FIRST_RETRY_S
from dolium.agent.core import Options
from dolium.agent.outbox import Outbox
from dolium.link import certificates, tls
from dolium.link.https import HttpsControl
from dolium.model.clock import SystemClock
from dolium.model.host import Hello, Inventory
from dolium.model.wish import Fact, Facts
from tests.perf import population

WAIT_S = Options(host="").wait_s
POSTERS = 16
STACK = 256 * 1024


class Report(Struct):
    """What the agents of a process have done so far; times are seconds since the epoch."""

    runs: dict[str, float] = msgspec.field(default_factory=dict)
    """When the control side had written down that a container runs."""
    gone: dict[str, float] = msgspec.field(default_factory=dict)
    polls: int = 0
    posts: int = 0
    facts: int = 0
    failures: int = 0
    told: int = 0
    """Agents that know all that is wished of them, and have told all they know."""


class Agent:
    """One host."""

    def __init__(self, name: str, link: HttpsControl, posters: ThreadPoolExecutor) -> None:
        self._name, self._link, self._posters = name, link, posters
        self._rng = random.Random(name)
        self._boot = ""
        self._since = 0
        self._outbox = Outbox()
        self._posting = threading.Lock()
        self._tries = 0
        self.report = Report()

    def run(self) -> None:
        """Until the process ends."""
        tries = 0
        while True:
            try:
                self._turn()
                tries = 0
            except errors.Error as error:
                if isinstance(error, errors.Changed):
                    self._boot = ""
                tries += 1
                self.report.failures += 1
                time.sleep(policy.jitter(self._rng, FIRST_RETRY_S, tries))

    def _turn(self) -> None:
        if not self._boot:
            self._hello()
        page = self._link.wishes(self._name, self._boot, self._since, WAIT_S)
        self.report.polls += 1
        self._since = page.revision
        now = time.time()
        for wish in page.wishes:
            self._outbox.again(wish.uuid)
            self._outbox.put(population.fact(wish, 0, now))
        for uuid in page.gone:
            self._outbox.forget(uuid)
        if page.wishes:
            self._posters.submit(self._post)
        elif not self.report.told:
            self.report.told = 1

    def _hello(self) -> None:
        inventory = Inventory(hostname=self._name, cpus=64, memory_mib=262_144, disk_gib=1000)
        boot = f"{self._name}-{time.time_ns()}"
        self._link.hello(Hello(host=self._name, boot=boot, inventory=inventory))
        self._outbox.renew()
        self._boot, self._since = boot, 0

    def _post(self) -> None:
        with self._posting:
            try:
                while batch := self._outbox.batch():
                    told = Facts(host=self._name, boot=self._boot, facts=batch)
                    ack = self._link.post(told)
                    if ack.stale:
                        return  # the poll will hear of it too
                    self._note(self._outbox.settle(batch, ack))
                self.report.told, self._tries = 1, 0
            except errors.Error:
                self._tries += 1
                self.report.failures += 1
                later = policy.jitter(self._rng, FIRST_RETRY_S, self._tries)
                timer = threading.Timer(later, partial(self._posters.submit, self._post))
                timer.daemon = True
                timer.start()

    def _note(self, written: Sequence[Fact]) -> None:
        now = time.time()
        self.report.posts += 1
        self.report.facts += len(written)
        for fact in written:
            (self.report.gone if fact.gone else self.report.runs).setdefault(fact.uuid, now)


def made(folder: Path, number: int, urls: Sequence[str], most: int) -> list[Agent]:
    """Agents with certificates of the folder's CA; all with one key, as making keys is not what
    is measured.
    """
    ca, clock = certificates.Ca(folder), SystemClock()
    key, request = certificates.request()
    posters = ThreadPoolExecutor(most)
    agents = []
    for name in (f"h{each}" for each in range(number)):
        certificate = ca.host(name, 1, request.decode(), clock.now())
        pems = tls.Pems(
            certificate=certificate.encode(),
            key=key,
            trusted=ca.trusted.encode(),
            until=clock.now() + certificates.LASTS_S,
        )
        link = HttpsControl(
            name,
            urls,
            tls.Identity(pems),
            random.Random(name),
            clock,
            threading.Event(),
            lambda control: ("127.0.0.1", 9),
        )
        agents.append(Agent(name, link, posters))
    return agents


def main(folder: Path, number: int, urls: Sequence[str]) -> None:
    """Obey until standard input ends."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    agents = made(folder, number, urls, POSTERS)
    print("made", flush=True)
    threading.stack_size(STACK)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "go":
            for agent in agents:
                threading.Thread(target=agent.run, daemon=True).start()
        elif word == "report":
            Path(rest).write_bytes(msgspec.json.encode(_sum([each.report for each in agents])))
        print(word, flush=True)
    os._exit(0)  # nobody waits for a thousand threads


def _sum(reports: Sequence[Report]) -> Report:
    total = Report()
    for one in reports:
        total.runs |= one.runs.copy()
        total.gone |= one.gone.copy()
        for name in ("polls", "posts", "facts", "failures", "told"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return total


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
