"""Finds a host for every container that waits for one, in batches.

The decision is taken in memory (`placing`), the database is the arbiter: a claim is one
conditional UPDATE per host, and who loses is picked again. Where API and placer share a process,
placing follows a wish in its own commit, and costs it no second one.
"""

from __future__ import annotations

import logging
import random
from math import inf
from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.control import rows as its_rows
from dolium.control.networks import Networks, Taken
from dolium.model import hints, metric, reading, trace
from dolium.model.clock import Clock
from dolium.model.container import Status
from dolium.model.hints import Hints
from dolium.model.host import Inventory
from dolium.model.metric import Meter
from dolium.model.network import Port, addresses
from dolium.model.placing import Amounts, Host, Request, consumer, whole
from dolium.placing.index import Index
from dolium.placing.pick import Policy
from dolium.store import (
    actions,
    capsules,
    containers,
    groups,
    hosts,
    networks,
    projects,
    settlements,
)
from dolium.store.hosts import Claim
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

_inventory = reading.reader(Inventory)

MOST_AT_ONCE = 500
"""Containers of one pass, so that the first of a flood need not wait for the last."""

MOST_TOGETHER = 64
"""Containers placed in the commit of a request, which waits for it."""

FRESH_S = 0.2
"""How old what is known of the hosts may be, where reading a thousand of them would cost more than
placing. The database decides on every claim: an older look costs a second try, after another look,
and never a wrong place.
"""


class Asked(Struct, frozen=True, gc=False):
    """The part of a container's spec that decides where; reading all of it costs three times
    as much.
    """

    cpu_policy: str = "shared"
    availability_zone: str | None = None
    runtime: str | None = None
    requested_host: str | None = None
    hints: dict[str, Any] = {}
    """See model/hints.py."""
    nets: list[dict[str, Any]] = []


_asked = reading.reader(Asked)


class Waiting(Struct, frozen=True, gc=False):
    """One container that needs a host."""

    id: int
    uuid: str
    project_id: str
    nets: list[dict[str, Any]]
    request: Request
    hints: Hints
    consumer: str | None = None
    """What Placement is to know its claim by, where it has the last word."""


class Placed(Struct, frozen=True, gc=False):
    """One decision with all that makes it durable."""

    one: Waiting
    port: Port
    claim: Claim
    why: str


Mark = tuple[int, float, bool, bool]
"""What a host's offer depends on besides its use: epoch, when it last became another, disabled,
away.
"""


class Placer:
    """One pass at a time; several placers may run, on one database."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        networks: Networks,
        rng: random.Random,
        policy: Policy | None = None,
        *,
        asks: bool = False,
        meter: Meter | None = None,
    ) -> None:
        """asks: a claim counts once Placement has agreed to it too; see control/claims.py."""
        self._asks = asks
        self._meter = meter or Meter()
        self._store = store
        self._clock = clock
        self._networks = networks
        self._index = Index(rng, policy)
        self._marks: dict[str, Mark] = {}
        self._looked = -inf
        """When all hosts were read."""

    def turn(self) -> int:
        """Place what waits now; returns how many were dealt with."""
        with self._store.glance() as connection:
            if not containers.any_waits(connection):
                return 0
        return self._store.write(lambda tx: self.place(tx, MOST_AT_ONCE))

    def follow(self, tx: Tx) -> None:
        """At the end of a commit that made something wait: place it in the same commit."""
        if self.place(tx, MOST_TOGETHER) == MOST_TOGETHER:
            tx.hint("placer")

    def place(self, tx: Tx, most: int) -> int:
        """Place at most so many within a transaction; returns how many were dealt with."""
        rows = containers.waiting(tx.connection, most)
        members = _members(tx, rows)
        if members:  # who held a group until now may have placed some of these
            rows = containers.waiting(tx.connection, most)
        rows = [row for row in rows if row[-1] is None or row[-1] in members]
        waiting = [_waiting(row, self._asks) for row in rows]
        if not waiting:
            return 0
        begun = self._clock.monotonic()
        taken = Taken(tx)
        taken.expect({one.project_id for one in waiting})
        known = begun - self._looked < FRESH_S
        if not known:
            self._refresh(tx)
        self._index.gather(members)
        won, failed, lost = self._round(tx, waiting, taken)
        if known and (failed or lost):
            self._refresh(tx)
            self._index.gather(_members(tx, rows))
            more, failed, lost = self._round(tx, lost + [one for one, _ in failed], taken)
            won += more
        asked = _asked_by(tx, [p.one for p in won] + [one for one, _ in failed])
        nowhere = [(one, why) for one, why in failed if self._give_up(tx, one, why)]
        tx.then(lambda: self._tell(won, nowhere, asked, begun))
        return len(won) + len(failed)

    def _round(
        self, tx: Tx, waiting: list[Waiting], taken: Taken
    ) -> tuple[list[Placed], list[tuple[Waiting, str]], list[Waiting]]:
        """Decide, claim and hand over. Who got a host; who fits nowhere, and why; whose claim was
        lost, who keeps waiting.
        """
        now = self._clock.now()
        ready: list[Placed] = []
        failed: list[tuple[Waiting, str]] = []
        for one in waiting:
            request = self._resolve(tx, one, ready)
            name = self._index.pick(request)
            try:
                if name is None:
                    raise errors.NoHost(why=self._index.why(request))
                port = self._networks.port(taken, one.uuid, one.project_id, one.nets, now)
            except (errors.NoHost, errors.Full, errors.Refused) as error:
                failed.append((one, str(error)))
                continue
            why, needs = self._index.because(name, request), self._index.needs(name, request)
            self._index.take(name, request)
            epoch = self._marks[name][0]
            port = msgspec.structs.replace(port, epoch=epoch)
            ready.append(Placed(one, port, _claim(one, name, epoch, needs), why))
        won = self._claim(tx, ready)
        self._hand_over(tx, won, now)
        lost = {p.one.id: p.one for p in ready}
        for placed in won:
            del lost[placed.one.id]
        return won, failed, [*lost.values()]

    def _tell(
        self,
        won: list[Placed],
        nowhere: list[tuple[Waiting, str]],
        asked: dict[str, str],
        begun: float,
    ) -> None:
        """Once it is durable: count, and log by which request it was asked for."""
        self._meter.count(metric.PLACED, by=len(won))
        self._meter.count(metric.UNPLACED, by=len(nowhere))
        self._meter.took(metric.PLACING, self._clock.monotonic() - begun)
        if not LOG.isEnabledFor(logging.INFO):
            return
        said = [(p.one.uuid, f"placed on {p.claim.host}: {p.why}") for p in won]
        for uuid, sentence in said + [(one.uuid, f"not placed: {why}") for one, why in nowhere]:
            with trace.of(asked.get(uuid, "")):
                LOG.info("container %s: %s", uuid, sentence)

    def _resolve(self, tx: Tx, one: Waiting, ready: list[Placed]) -> Request:
        """The request with the hosts that other containers, named in it, are on by now."""
        near, apart = one.hints.same_host, one.hints.different_host
        if not near and not apart:
            return one.request
        at = containers.hosts_of(tx.connection, one.project_id, near | apart)
        at |= {p.one.uuid: p.claim.host for p in ready if p.one.project_id == one.project_id}
        found = {uuid: host for uuid, host in at.items() if host is not None}
        return msgspec.structs.replace(
            one.request,
            among=frozenset(found[uuid] for uuid in near if uuid in found) if near else None,
            avoid=frozenset(found[uuid] for uuid in apart if uuid in found),
        )

    def _refresh(self, tx: Tx) -> None:
        """Know the hosts as the database does: most have changed in nothing but their use."""
        self._looked = self._clock.monotonic()
        marks: dict[str, Mark] = {}
        changed = set()
        for name, epoch, at, disabled, away, *used in hosts.loads(tx.connection):
            mark = marks[name] = epoch, at, bool(disabled), bool(away)
            if self._marks.get(name) == mark:
                self._index.count(name, Amounts(*used))
            else:
                changed.add(name)
        for name in self._marks.keys() - marks.keys():
            self._index.drop(name)
        if changed:
            for host in hosts.all_of_them(tx.connection):
                if host.name in changed:
                    _, _, _, away = marks[host.name]
                    self._index.put(_offer(host, away))
        self._marks = marks

    def _claim(self, tx: Tx, ready: list[Placed]) -> list[Placed]:
        """All together, or each alone; who does not fit any more keeps waiting."""
        if not ready or hosts.claim(tx, [placed.claim for placed in ready]):
            return ready
        in_order = sorted(ready, key=lambda placed: placed.claim.host)  # as hosts are locked
        return [placed for placed in in_order if hosts.claim(tx, [placed.claim])]

    def _hand_over(self, tx: Tx, won: list[Placed], now: float) -> None:
        if not won:
            return
        networks.plug(tx, [placed.port for placed in won], now)
        encode = msgspec.json.encode
        given = [
            (placed.one.id, placed.claim.host, encode(addresses((placed.port,))), placed.why)
            for placed in won
        ]
        containers.place(tx, given, asks=self._asks)
        if self._asks:
            tx.hint(settlements.TOPIC)
        else:
            capsules.follow(tx, [placed.one.uuid for placed in won if placed.one.request.capsule])

    def _give_up(self, tx: Tx, one: Waiting, why: str) -> bool:
        now = self._clock.now()
        if not containers.give_up(tx, one.id, Status.ERROR.value, why, now):
            return False  # somebody else found a host for it, or it is to be deleted
        actions.close_all(tx, one.uuid, message=actions.FAILED, at=now)
        capsule = one.uuid if one.request.capsule else None
        if capsule:
            its_rows.strand(tx, capsule, why, now)
        projects.changed(tx, one.project_id, one.uuid, "observed", now, capsule)
        return True


def _asked_by(tx: Tx, dealt_with: list[Waiting]) -> dict[str, str]:
    """The requests they are placed for, which only the log needs."""
    if not dealt_with or not LOG.isEnabledFor(logging.INFO):
        return {}
    return actions.requests(tx.connection, [one.uuid for one in dealt_with])


def _waiting(row: containers.Wait, asks: bool) -> Waiting:
    number, uuid, project_id, cpu_m, memory_mib, disk_gib, document, ended, capsule, group = row
    asked = _asked(document)
    told, alone = _hints(asked.hints), asked.cpu_policy == "dedicated"
    cpu_m = whole(cpu_m) if asks else cpu_m
    request = Request(
        uuid=uuid,
        project_id=project_id,
        cpu_m=0 if alone else cpu_m,
        memory_mib=memory_mib,
        disk_gib=disk_gib,
        cpus=cpu_m // 1000 if alone else 0,
        zone=asked.availability_zone,
        runtime=asked.runtime,
        capsule=capsule is not None,
        host=asked.requested_host,
        labels=told.labels,
        group=None if group is None else told.of(group),
    )
    known = consumer(uuid, ended) if asks else None
    return Waiting(number, uuid, project_id, asked.nets, request, told, known)


def _hints(given: dict[str, Any]) -> Hints:
    try:
        return hints.read(given)
    except errors.Invalid:  # written down by a version that ignored all but labels
        return hints.read({key: given[key] for key in given if key.startswith("label:")})


def _members(tx: Tx, rows: list[containers.Wait]) -> dict[int, dict[str, int]]:
    """How many each host has of the groups that get more. Each group is locked until the commit,
    so that whoever else places one of it counts ours; in one order, and before hosts.
    """
    numbers = {number for *_, number in rows if number is not None}
    return {number: groups.members(tx, number) for number in sorted(numbers)}


def _offer(host: hosts.Host, away: bool) -> Host:
    inventory = _inventory(host.inventory).known(host.name, host.hypervisor)
    return Host(
        name=host.name,
        region=inventory.region,
        zone=host.zone,
        rack=inventory.rack,
        machine=inventory.hypervisor,
        labels=inventory.labels,
        runtimes=inventory.runtimes,
        capsules=inventory.capsules,
        disabled=host.disabled,
        up=not away,
        total=Amounts(
            host.total_cpu_m, host.total_memory_mib, host.total_disk_gib, host.total_dedicated
        ),
        free=Amounts(
            host.total_cpu_m - host.used_cpu_m,
            host.total_memory_mib - host.used_memory_mib,
            host.total_disk_gib - host.used_disk_gib,
            host.total_dedicated - host.used_dedicated,
        ),
    )


def _claim(one: Waiting, host: str, epoch: int, needs: Amounts) -> Claim:
    return Claim(
        container_uuid=one.uuid,
        host=host,
        epoch=epoch,
        cpu_m=needs.cpu_m,
        memory_mib=needs.memory_mib,
        disk_gib=needs.disk_gib,
        dedicated=needs.cpus,
        consumer=one.consumer,
    )
