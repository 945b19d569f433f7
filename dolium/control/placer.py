"""Finds a host for every container that waits for one, in batches.

The decision is taken in memory (`placing`), the database is the arbiter: a claim is one
conditional UPDATE per host, and who loses is picked again. Where API and placer share a process,
placing follows a wish in its own commit, and costs it no second one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.control.networks import Networks, Taken
from dolium.model.clock import Clock
from dolium.model.container import Status
from dolium.model.host import Inventory
from dolium.model.network import Port, addresses
from dolium.model.placing import Amounts, Host, Request
from dolium.placing.index import Index
from dolium.store import actions, containers, hosts, networks, projects
from dolium.store.hosts import Claim
from dolium.store.store import Store, Tx

_inventory = msgspec.json.Decoder(Inventory).decode

MOST_AT_ONCE = 500
"""Containers of one pass, so that the first of a flood need not wait for the last."""

MOST_TOGETHER = 64
"""Containers placed in the commit of a request, which waits for it."""


class Asked(Struct, frozen=True, gc=False):
    """The part of a container's spec that decides where; reading all of it costs three times
    as much.
    """

    availability_zone: str | None = None
    runtime: str | None = None
    requested_host: str | None = None
    hints: dict[str, Any] = {}
    nets: list[dict[str, Any]] = []


_asked = msgspec.json.Decoder(Asked).decode


class Waiting(Struct, frozen=True, gc=False):
    """One container that needs a host."""

    id: int
    uuid: str
    project_id: str
    nets: list[dict[str, Any]]
    request: Request


class Placed(Struct, frozen=True, gc=False):
    """One decision with all that makes it durable."""

    one: Waiting
    port: Port
    claim: Claim


Mark = tuple[int, float, bool, bool]
"""What a host's offer depends on besides its use: epoch, time of its hello, disabled, silent."""


class Placer:
    """One pass at a time; several placers may run, on one database."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        networks: Networks,
        rng: random.Random,
        silent: Callable[[str], bool] = lambda host: False,
    ) -> None:
        """silent tells whether a host has not been heard of for too long."""
        self._store = store
        self._clock = clock
        self._networks = networks
        self._silent = silent
        self._index = Index(rng)
        self._marks: dict[str, Mark] = {}

    def turn(self) -> int:
        """Place what waits now; returns how many were dealt with."""
        with self._store.glance() as connection:
            if not containers.waiting(connection, 1):
                return 0
        return self._store.write(lambda tx: self.place(tx, MOST_AT_ONCE))

    def follow(self, tx: Tx) -> None:
        """At the end of a commit that made something wait: place it in the same commit."""
        if self.place(tx, MOST_TOGETHER) == MOST_TOGETHER:
            tx.hint("placer")

    def place(self, tx: Tx, most: int) -> int:
        """Place at most so many within a transaction; returns how many were dealt with."""
        waiting = [_waiting(row) for row in containers.waiting(tx.connection, most)]
        if not waiting:
            return 0
        self._refresh(tx)
        now, taken = self._clock.now(), Taken(tx)
        ready: list[Placed] = []
        failed: list[tuple[Waiting, str]] = []
        for one in waiting:
            name = self._index.pick(one.request)
            try:
                if name is None:
                    raise errors.NoHost(why=self._index.why(one.request))
                port = self._networks.port(taken, one.uuid, one.project_id, one.nets, now)
            except (errors.NoHost, errors.Full, errors.Refused) as error:
                failed.append((one, str(error)))
                continue
            self._index.take(name, one.request)
            epoch = self._marks[name][0]
            port = msgspec.structs.replace(port, epoch=epoch)
            ready.append(Placed(one, port, _claim(one, name, epoch)))
        won = self._claim(tx, ready)
        self._hand_over(tx, won, now)
        for one, why in failed:
            self._give_up(tx, one, why, now)
        return len(won) + len(failed)

    def _refresh(self, tx: Tx) -> None:
        """Know the hosts as the database does: most have changed in nothing but their use."""
        marks: dict[str, Mark] = {}
        changed = set()
        for name, epoch, at, disabled, cpu_m, memory_mib, disk_gib in hosts.loads(tx.connection):
            mark = marks[name] = epoch, at, bool(disabled), self._silent(name)
            if self._marks.get(name) == mark:
                self._index.count(name, Amounts(cpu_m, memory_mib, disk_gib))
            else:
                changed.add(name)
        for name in self._marks.keys() - marks.keys():
            self._index.drop(name)
        if changed:
            for host in hosts.all_of_them(tx.connection):
                if host.name in changed:
                    _, _, _, silent = marks[host.name]
                    self._index.put(_offer(host, silent))
        self._marks = marks

    def _claim(self, tx: Tx, ready: list[Placed]) -> list[Placed]:
        """All together, or each alone; who does not fit any more keeps waiting."""
        if not ready or hosts.claim(tx, [placed.claim for placed in ready]):
            return ready
        return [placed for placed in ready if hosts.claim(tx, [placed.claim])]

    def _hand_over(self, tx: Tx, won: list[Placed], now: float) -> None:
        if not won:
            return
        networks.plug(tx, [placed.port for placed in won], now)
        revisions = hosts.revisions(tx.connection, {placed.claim.host for placed in won})
        encode = msgspec.json.encode
        containers.place(
            tx,
            [
                {
                    "id_": placed.one.id,
                    "host": placed.claim.host,
                    "revision": revisions[placed.claim.host],
                    "addresses": encode(addresses((placed.port,))),
                }
                for placed in won
            ],
        )

    def _give_up(self, tx: Tx, one: Waiting, why: str, now: float) -> None:
        if not containers.give_up(tx, one.id, Status.ERROR.value, why, now):
            return  # another placer found a host meanwhile
        actions.close_all(tx, one.uuid, message=actions.FAILED, at=now)
        projects.changed(tx, one.project_id, one.uuid, "observed", now)


def _waiting(row: containers.Wait) -> Waiting:
    number, uuid, project_id, cpu_m, memory_mib, disk_gib, document = row
    asked = _asked(document)
    request = Request(
        uuid=uuid,
        project_id=project_id,
        cpu_m=cpu_m,
        memory_mib=memory_mib,
        disk_gib=disk_gib,
        zone=asked.availability_zone,
        runtime=asked.runtime,
        host=asked.requested_host,
        labels=_labels(asked.hints),
    )
    return Waiting(number, uuid, project_id, asked.nets, request)


def _labels(hints: dict[str, Any]) -> dict[str, str]:
    return {
        name.removeprefix("label:"): str(value)
        for name, value in hints.items()
        if name.startswith("label:")
    }


def _offer(host: hosts.Host, silent: bool) -> Host:
    inventory = _inventory(host.inventory)
    return Host(
        name=host.name,
        zone=host.zone,
        labels=inventory.labels,
        runtimes=inventory.runtimes,
        disabled=host.disabled,
        up=not silent,
        total=Amounts(host.total_cpu_m, host.total_memory_mib, host.total_disk_gib),
        free=Amounts(
            host.total_cpu_m - host.used_cpu_m,
            host.total_memory_mib - host.used_memory_mib,
            host.total_disk_gib - host.used_disk_gib,
        ),
    )


def _claim(one: Waiting, host: str, epoch: int) -> Claim:
    return Claim(
        container_uuid=one.uuid,
        host=host,
        epoch=epoch,
        cpu_m=one.request.cpu_m,
        memory_mib=one.request.memory_mib,
        disk_gib=one.request.disk_gib,
    )
