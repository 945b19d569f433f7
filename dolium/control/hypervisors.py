"""On which physical machines hosts are that are servers of a cloud, as Nova tells.

Agents have no account there, so the control side asks, for a host that is new or was started anew
and for all once in a while, because servers move. Several conductors may do the same: who comes
second changes nothing.
"""

from __future__ import annotations

import logging
import random
from typing import Protocol

from msgspec import Struct

from dolium import errors
from dolium.clients.nova import Server
from dolium.model import reading
from dolium.model.clock import Clock
from dolium.model.host import Inventory
from dolium.store import hosts
from dolium.store.hosts import Run
from dolium.store.store import Store

LOG = logging.getLogger(__name__)

LOOK_S = 300.0
"""How often each host is asked for again."""
PAUSE_S = 5.0
"""After Nova did not answer; twice as long each time, up to LOOK_S."""
TOGETHER = 20
"""Hosts of one turn."""

_inventory = reading.reader(Inventory)


class Nova(Protocol):
    """The part of clients.nova that is needed."""

    def named(self, name: str) -> list[Server]:
        """Servers of exactly this name."""


class Known(Struct, frozen=True):
    """What was done about a host."""

    epoch: int
    due: float
    trouble: str = ""
    """What was said of it last."""


class Hypervisors:
    """Asks Nova; `turn` is for one thread."""

    def __init__(self, store: Store, clock: Clock, rng: random.Random, nova: Nova) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng
        self._nova = nova
        self._known: dict[str, Known] = {}
        """By the host's id, since a host that was forgotten may come back as another."""
        self._pause = 0.0
        self._again = 0.0

    def turn(self) -> int:
        """Ask for some of the hosts that are due; returns how many were dealt with."""
        if self._clock.monotonic() < self._again:
            return 0
        with self._store.glance() as connection:
            runs = hosts.runs(connection)
        there = {run.uuid for run in runs}
        self._known = {uuid: known for uuid, known in self._known.items() if uuid in there}
        due = [run for run in runs if self._is_due(run)]
        self._rng.shuffle(due)  # so that one that Nova refuses does not keep others waiting
        try:
            for run in due[:TOGETHER]:
                self._look(run)
        except (errors.Unanswered, errors.Refused) as error:
            self._wait(error)
            return 0
        if due and self._pause:
            LOG.info("Nova answers again")
            self._pause = 0.0
        return len(due[:TOGETHER])

    def _is_due(self, run: Run) -> bool:
        known = self._known.get(run.uuid)
        return known is None or known.epoch != run.epoch or known.due <= self._clock.monotonic()

    def _look(self, run: Run) -> None:
        known = self._known.get(run.uuid)
        trouble = self._ask(run.name)
        if trouble and (known is None or known.trouble != trouble):
            LOG.warning("host %s: %s; it counts as a physical machine", run.name, trouble)
        # Apart from each other, so that thousands of hosts are not asked for at once.
        due = self._clock.monotonic() + LOOK_S * self._rng.uniform(0.8, 1.2)
        self._known[run.uuid] = Known(run.epoch, due, trouble)

    def _ask(self, name: str) -> str:
        """Ask for a host and write down what is so; returns why nothing is known."""
        with self._store.glance() as connection:
            host = hosts.get(connection, name)
        if host is None or _inventory(host.inventory).hypervisor:
            return ""  # it is gone meanwhile, or its agent knows
        found = self._nova.named(name)
        hypervisor = found[0].hypervisor if len(found) == 1 else ""
        self._write(host, hypervisor or None)
        if len(found) > 1:
            return f"{len(found)} servers of Nova have its name"
        if not found:
            return "no server of Nova has its name"
        return "" if hypervisor else "Nova does not tell where its server is"

    def _write(self, host: hosts.Host, hypervisor: str | None) -> None:
        if host.hypervisor == hypervisor:
            return
        now = self._clock.now()
        if self._store.write(lambda tx: hosts.stands(tx, host.name, hypervisor, now)):
            LOG.info("host %s is on hypervisor %s", host.name, hypervisor or "unknown")

    def _wait(self, error: errors.Error) -> None:
        if not self._pause:
            LOG.warning("%s; hosts stay on the hypervisors that are known", error)
        self._pause = min(max(PAUSE_S, 2 * self._pause), LOOK_S)
        self._again = self._clock.monotonic() + self._pause * self._rng.uniform(0.8, 1.2)


def forget(store: Store, clock: Clock) -> int:
    """When nobody is asked any more: what was found counts no longer; returns of how many hosts."""
    now = clock.now()
    with store.read() as connection:
        found = [host.name for host in hosts.all_of_them(connection) if host.hypervisor]
    return sum(store.write(lambda tx: [hosts.stands(tx, name, None, now) for name in found]))
