"""Claims where the database has not the last word about a host's room, but Placement.

The placer decides and claims in the database as ever; what it placed is `asking` then, and its
host sees it only once Placement has agreed. So the claim, and the consumer that Placement is to
know it by, are written down before Placement is asked; whoever ends or changes a claim writes
down in the same transaction that its consumer has to be settled. All that happens here only makes
Placement as the claims say, and may be repeated, also by several conductors at once.

No request to Placement is made within a transaction.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from dolium import conf, errors
from dolium.control import asking
from dolium.control.asking import ASKING, WAITS
from dolium.drivers.claim.base import Driver, Holding, Offer, Survey, Taking
from dolium.model import reading
from dolium.model.clock import Clock
from dolium.model.host import Inventory
from dolium.model.placing import Amounts, consumer, whole
from dolium.store import containers, settlements
from dolium.store.settlements import Asked, Claimant
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

_inventory = reading.reader(Inventory)

MOST_TOLD = 500
TOGETHER = 64
"""Containers asked for in one request."""
HOSTS_TOGETHER = 16
"""Hosts looked at in one turn, so that what asks need not wait for all."""
LOOK_S = 60.0
"""Between two looks at a host: how late it may be noticed what others take and give back."""
GRACE_S = 10.0
"""How long a change that a request is making is left to it."""
AGAIN_S = 60.0
"""When what Placement refused to settle is tried again."""
YOUNG_S = 900.0
"""Nothing is swept that was not seen to be needless for so long."""
LONGEST_PAUSE_S = 30.0
MOST_REFUSALS = 8
"""Of one container, before it is given up: there is something that we don't understand."""


class Growth(Struct, frozen=True):
    """Placement has agreed to give a container more, if nobody changes its mind meanwhile."""

    consumer: str
    turn: int


class Known(Struct, frozen=True, kw_only=True):
    """What is known of a host."""

    updated_at: float
    """As the database had it then."""
    due: float
    provider: str | None
    shared: bool


class Claims:
    """Asks Placement and settles with it. `turn` is for one thread, the rest for many."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rng: random.Random,
        driver: Driver,
        placing: conf.Placing,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng
        self._driver = driver
        self._placing = placing
        self._known: dict[str, Known] = {}
        self._later: dict[str, float] = {}
        self._orphans: dict[tuple[str, str], float] = {}
        self._refusals: dict[str, int] = {}
        self._looked = self._adopted = -LOOK_S
        self._failures = 0
        self._again = 0.0

    def turn(self) -> int:
        """Do what is to be done now; returns how much that was."""
        if self._clock.monotonic() < self._again:
            self._tell()
            return 0
        try:
            done = self._ask() + self._settle() + self._adopt() + self._look()
        except errors.Unanswered as error:
            self._failures += 1
            longest = min(LONGEST_PAUSE_S, 0.5 * 2.0 ** min(self._failures, 10))
            self._again = self._clock.monotonic() + self._rng.uniform(0.0, longest)
            LOG.warning("%s; trying again", error)
            self._tell()
            return 0
        self._failures = 0
        return done

    def _tell(self) -> None:
        """Those who wait are told why."""
        with self._store.read() as connection:
            asked = settlements.asking(connection, MOST_TOLD)
        for one in asked:
            if one.status_reason != WAITS:
                self._store.write(partial(asking.explain, one, self._clock.now()))

    # --- asking ------------------------------------------------------------------------------

    def _ask(self) -> int:
        with self._store.read() as connection:
            asked = settlements.asking(connection, TOGETHER)
        done, takings = 0, {}
        for one in asked:
            taking = self._taking(one)
            if isinstance(taking, str):
                done += self._refuse(one, taking)
            else:
                takings[one.consumer] = taking
        asked = [one for one in asked if one.consumer in takings]
        if not asked:
            return done
        try:
            self._driver.take([*takings.values()])
        except errors.Unanswered:
            raise
        except errors.DriverError as error:
            LOG.info("%d containers together: %s; asking for each", len(asked), error)
            return done + self._ask_singly(takings)
        return done + self._agreed(asked)

    def _ask_singly(self, takings: Mapping[str, Taking]) -> int:
        with self._store.read() as connection:
            asked = settlements.asking(connection, TOGETHER)
        done, looked = 0, set[str]()
        for one in asked:  # another conductor may have been quicker with the others
            if one.consumer not in takings:
                continue
            try:
                self._take(takings[one.consumer])
            except errors.Unanswered:
                raise
            except errors.Refused as error:
                LOG.info("container %s: %s; asking again", one.container_uuid, error)
            except errors.DriverError as error:
                if one.host not in looked:
                    looked.add(one.host)
                    self._see(one.host)
                done += self._refuse(one, str(error))
            else:
                done += self._agreed([one])
        return done

    def _taking(self, one: Asked) -> Taking | str:
        """What to ask for, or why it is not even asked."""
        known = self._known.get(one.host) or self._see(one.host)
        if known is None or known.provider is None:
            return f"Placement has no provider for host {one.host}"
        if known.shared and one.dedicated:
            return f"Host {one.host} is shared, and gives no CPUs to one container alone"
        return Taking(
            consumer=one.consumer,
            provider=known.provider,
            project_id=one.project_id,
            amounts=_amounts(one),
        )

    def _take(self, taking: Taking) -> None:
        try:
            self._driver.take([taking])
        except errors.Refused:
            held = self._driver.held(taking.consumer)
            if held is not None and _has(held, taking):
                return  # an earlier answer was lost
            # It may be known without having anything: Placement was ended halfway.
            self._driver.change(taking, held.turn if held else 0)

    def _agreed(self, asked: Sequence[Asked]) -> int:
        for one in asked:
            self._refusals.pop(one.container_uuid, None)
        return self._store.write(partial(asking.agreed, asked, self._clock.now()))

    def _refuse(self, one: Asked, why: str) -> int:
        count = self._refusals[one.container_uuid] = self._refusals.get(one.container_uuid, 0) + 1
        last = f"Placement refused each time: {why}" if count >= MOST_REFUSALS else None
        if last:
            del self._refusals[one.container_uuid]
        LOG.info("container %s on host %s: %s", one.container_uuid, one.host, why)
        return self._store.write(partial(asking.send_back, one, last, self._clock.now()))

    # --- settling ----------------------------------------------------------------------------

    def _settle(self) -> int:
        done, after = 0, ""
        while True:
            with self._store.read() as connection:
                due = settlements.pending(connection, after, TOGETHER)
                claims = settlements.of(connection, [uuid for _, uuid in due])
            for name, uuid in due:
                claim = claims.get(uuid)
                if not self._left(name, claim is not None and claim.consumer == name):
                    done += self._settle_one(name, uuid)
            if len(due) < TOGETHER:
                return done
            after = due[-1][0]

    def _left(self, name: str, claimed: bool) -> bool:
        """Whether it is too early: a request may be about it, or it was refused just now."""
        now = self._clock.monotonic()
        if claimed:
            return self._later.setdefault(name, now + GRACE_S) > now
        self._later.pop(name, None)
        return False

    def _settle_one(self, name: str, uuid: str) -> bool:
        def begin(tx: Tx) -> tuple[int, Asked | None]:
            return settlements.begin(tx, name), settlements.of(tx.connection, [uuid]).get(uuid)

        turn, claim = self._store.write(begin)
        if claim is None or claim.consumer != name:
            self._driver.give_back(name)
        elif claim.stage != ASKING and not self._correct(claim):
            self._later[name] = self._clock.monotonic() + AGAIN_S
            return False
        self._later.pop(name, None)
        now = self._clock.now()
        return self._store.write(lambda tx: settlements.done(tx, name, turn, now))

    def _correct(self, claim: Asked) -> bool:
        """Give a claim in Placement what it has in the database, which is in use already."""
        taking = self._taking(claim)
        try:
            if isinstance(taking, str):
                raise errors.Refused(why=taking)
            held = self._driver.held(claim.consumer)
            if held is None:
                self._take(taking)
            elif not _has(held, taking):
                self._driver.change(taking, held.turn)
        except errors.Unanswered:
            raise
        except errors.DriverError as error:
            text = "container %s is on host %s, and Placement has no room for it: %s"
            LOG.warning(text, claim.container_uuid, claim.host, error)
            return False
        return True

    def _adopt(self) -> int:
        """Claims from before Placement was asked get consumers, and are settled then."""
        if self._clock.monotonic() < self._adopted + LOOK_S:
            return 0
        with self._store.read() as connection:
            found = settlements.strangers(connection, TOGETHER)
        if len(found) < TOGETHER:
            self._adopted = self._clock.monotonic()
        return sum(self._store.write(partial(_name, *each)) for each in found)

    # --- hosts -------------------------------------------------------------------------------

    def _look(self) -> int:
        """See hosts that are new, have changed, or were not looked at for a while."""
        now = self._clock.monotonic()
        if now < self._looked + 1.0:
            return 0  # a turn follows each wish
        self._looked = now
        with self._store.read() as connection:
            found = settlements.claimants(connection)
        names = {host.name for host in found}
        self._known = {name: known for name, known in self._known.items() if name in names}
        due = [host for host in found if self._due(host, now)]
        for host in due[:HOSTS_TOGETHER]:
            self._survey(host)
        return len(due[:HOSTS_TOGETHER])

    def _due(self, host: Claimant, now: float) -> bool:
        known = self._known.get(host.name)
        return known is None or known.updated_at != host.updated_at or known.due <= now

    def _see(self, name: str) -> Known | None:
        with self._store.read() as connection:
            host = settlements.claimant(connection, name)
        return None if host is None else self._survey(host)

    def _survey(self, host: Claimant) -> Known:
        """Compare a host with Placement, and promise from now on what that gives."""
        inventory = _inventory(host.inventory)
        survey = Survey(room=Amounts(), held={})
        provider = self._provider(host, inventory)
        if provider is not None:
            try:
                survey = self._driver.survey(provider)
            except errors.Absent:
                provider = None
        others = self._compare(host, survey) if provider is not None else Amounts()
        if _exceeds(_sum(survey.held.values()), survey.room):
            LOG.error("host %s: Placement has promised more than there is", host.name)
        shared, now = bool(inventory.compute_node), self._clock.now()
        totals = (
            max(0, survey.room.cpu_m - others.cpu_m),
            max(0, survey.room.memory_mib - others.memory_mib),
            max(0, survey.room.disk_gib - others.disk_gib),
            0 if shared else host.total_dedicated,
        )
        updated_at = host.updated_at
        if totals != host.totals and self._store.write(
            lambda tx: settlements.bound(tx, host, totals, now)
        ):
            updated_at = now
        due = self._clock.monotonic() + LOOK_S * self._rng.uniform(0.8, 1.2)
        known = Known(updated_at=updated_at, due=due, provider=provider, shared=shared)
        self._known[host.name] = known
        return known

    def _provider(self, host: Claimant, inventory: Inventory) -> str | None:
        if inventory.compute_node:
            found = self._driver.find(inventory.compute_node)
            if found is None:
                text = "host %s: Placement knows no compute node %s"
                LOG.warning(text, host.name, inventory.compute_node)
            return found
        placing = self._placing
        offer = Offer(
            cpus=inventory.cpus,
            cpu_ratio=placing.cpu_ratio,
            memory_mib=inventory.memory_mib,
            reserved_mib=placing.reserved_memory,
            memory_ratio=placing.memory_ratio,
            disk_gib=inventory.disk_gib,
        )
        try:
            self._driver.offer(host.uuid, host.name, offer)
        except errors.Unanswered:
            raise
        except errors.DriverError as error:
            LOG.warning("host %s: %s", host.name, error)
            return None
        return host.uuid

    def _compare(self, host: Claimant, survey: Survey) -> Amounts:
        """What others have of it. What differs from our claims is written down to be settled."""
        with self._store.read() as connection:
            mine = {claim.consumer: claim for claim in settlements.of_host(connection, host.name)}
            strange = [name for name in survey.held if name not in mine]
            known = settlements.known(connection, [*mine, *strange])
        for name, claim in mine.items():
            settled = claim.stage != ASKING and known.get(name, True)
            if settled and survey.held.get(name) != _amounts(claim):
                self._store.write(partial(_unsettle, name, claim.container_uuid))
        self._sweep(host.name, [name for name in strange if known.get(name, False)])
        return _sum(survey.held[name] for name in strange if known.get(name, True))

    def _sweep(self, host: str, orphans: Collection[str]) -> None:
        """What a request left that came after its consumer was settled: rare, and late."""
        now = self._clock.monotonic()
        old = {key: at for key, at in self._orphans.items() if key[0] != host or key[1] in orphans}
        self._orphans = {(host, name): now for name in orphans} | old
        for name in orphans:
            if now - self._orphans[host, name] < YOUNG_S:
                continue
            held = self._driver.held(name)
            if held is not None and held.ours:
                LOG.warning("consumer %s on host %s is nobody's any more", name, host)
                self._driver.give_back(name)

    # --- changing what a container has -----------------------------------------------------------

    def grow(self, uuid: str, cpu_m: int | None, memory_mib: int) -> Growth | None:
        """Before a container's amounts are changed (cpu_m None keeps its CPUs): have Placement
        agree if they grow. Should the change come to nothing, this is settled later. None:
        Placement has no word in it. Raises NoHost, Changed, Unanswered.
        """

        def begin(tx: Tx) -> tuple[int, Asked] | None:
            containers.hold(tx, [uuid])
            claim = settlements.of(tx.connection, [uuid]).get(uuid)
            if claim is None:
                return None
            return settlements.due(tx, claim.consumer, uuid), claim

        found = self._store.write(begin)
        if found is None:
            return None
        turn, claim = found
        present = _amounts(claim)
        wanted = Amounts(
            present.cpu_m if cpu_m is None else max(present.cpu_m, whole(cpu_m)),
            max(present.memory_mib, memory_mib),
            present.disk_gib,
        )
        if wanted != present:
            self._enlarge(claim, wanted)
        return Growth(claim.consumer, turn)

    def _enlarge(self, claim: Asked, wanted: Amounts) -> None:
        held = self._driver.held(claim.consumer)
        if held is None or len(held.takings) != 1:  # not settled yet, or somebody meddled with it
            raise errors.Changed(kind="Container", id=claim.container_uuid)
        taking = Taking(
            consumer=claim.consumer,
            provider=next(iter(held.takings)),
            project_id=claim.project_id,
            amounts=wanted,
        )
        try:
            self._driver.change(taking, held.turn)
        except errors.Full:
            why = f"host of container {claim.container_uuid} has no room for more"
            raise errors.NoHost(why=why) from None
        except errors.Refused:
            raise errors.Changed(kind="Container", id=claim.container_uuid) from None


def check(tx: Tx, growth: Growth) -> None:
    """In the transaction that changes a container's amounts, before it does: whether Placement's
    word still stands; raises Changed.
    """
    if not settlements.still(tx, growth.consumer, growth.turn):
        raise errors.Changed(kind="Claim", id=growth.consumer)


def _name(uuid: str, ended: int, tx: Tx) -> bool:
    containers.hold(tx, [uuid])
    return settlements.name(tx, uuid, consumer(uuid, ended))


def _unsettle(name: str, uuid: str, tx: Tx) -> None:
    settlements.due(tx, name, uuid)


def _amounts(one: Asked) -> Amounts:
    return Amounts(whole(one.cpu_m), one.memory_mib, one.disk_gib)


def _exceeds(taken: Amounts, room: Amounts) -> bool:
    return (
        taken.cpu_m > room.cpu_m
        or taken.memory_mib > room.memory_mib
        or taken.disk_gib > room.disk_gib
    )


def _has(held: Holding, taking: Taking) -> bool:
    return held.takings == {taking.provider: taking.amounts}


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    cpu_m = memory_mib = disk_gib = 0
    for each in amounts:
        cpu_m += each.cpu_m
        memory_mib += each.memory_mib
        disk_gib += each.disk_gib
    return Amounts(cpu_m, memory_mib, disk_gib)
