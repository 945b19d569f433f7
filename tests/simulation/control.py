"""The control side of the simulation: some processes on one database that fails in many ways."""

from __future__ import annotations

import random
import sqlite3
import uuid as uuids
from collections.abc import Callable, Collection, Container, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

import sqlalchemy as sa

from dolium import conf, errors
from dolium.control.capsules import Capsules
from dolium.control.containers import Containers
from dolium.control.heartbeats import Heartbeats
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placed, Placer
from dolium.control.services import Services
from dolium.drivers.fence.base import Driver as Fence
from dolium.drivers.network.base import Driver
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.store import containers, hosts, projects
from dolium.store.hints import Hints
from dolium.store.idle import execute
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store, Tx
from tests.simulation.absence import Slow, WatchedLost
from tests.simulation.chaos import Chaos, Clock, ControlKilled
from tests.simulation.machines import DEPLOYMENT

T = TypeVar("T")

QUOTA = 6
"""Containers of a project at most."""
REMEMBERED_S = 60.0
"""How long deletions and changes are told; in life it is a month."""
CLOSED_ONCE = """
CREATE TRIGGER closed_once BEFORE UPDATE ON actions WHEN OLD.open = 0
BEGIN SELECT RAISE(ABORT, 'an action was closed twice'); END
"""
RETURNED_ONCE = """
CREATE TRIGGER used_{table} BEFORE UPDATE ON {table} WHEN NEW.used_cpu_m < 0
BEGIN SELECT RAISE(ABORT, 'more was given back than taken'); END
"""
LOCKED = """
CREATE TABLE touched (id INTEGER);
CREATE TABLE locked (id INTEGER);
CREATE TRIGGER touched_new AFTER INSERT ON placement_groups
BEGIN INSERT INTO touched VALUES (NEW.id); END;
CREATE TRIGGER touched_old AFTER UPDATE ON placement_groups
BEGIN INSERT INTO touched VALUES (NEW.id); END;
CREATE TRIGGER locked_group BEFORE UPDATE ON placement_groups
WHEN EXISTS (SELECT 1 FROM locked WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'locked by somebody else'); END;
"""
"""Row locks of groups: whoever comes in the midst of a transaction that has touched one has to
wait, which here means to try later.
"""
NEVER_BACK = """
CREATE TRIGGER back_{table} BEFORE UPDATE ON {table} WHEN NEW.revision < OLD.revision
BEGIN SELECT RAISE(ABORT, 'a revision was counted back'); END
"""


class FlatNetwork(Driver):
    """One small network per project."""

    name = "flat"
    instant = True

    def network(self, project_id: str, taken: Collection[str]) -> Network:
        """See base."""
        number = next(n for n in range(250) if f"10.0.{n}.0/24" not in taken)
        subnet = Subnet(
            uuid=f"s{number}", version=4, cidr=f"10.0.{number}.0/24", gateway=f"10.0.{number}.1"
        )
        return Network(
            uuid=str(uuids.uuid5(uuids.NAMESPACE_DNS, f"{project_id}-{number}")),
            project_id=project_id,
            name="default",
            driver="flat",
            subnets=(subnet,),
        )

    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        """See base."""
        prefix = network.subnets[0].gateway.rpartition(".")[0]
        address = next(f"{prefix}.{n}" for n in range(2, 250) if f"{prefix}.{n}" not in taken)
        ip = FixedIp(subnet_id=network.subnets[0].uuid, version=4, address=address, prefix=24)
        return Port(
            uuid=str(uuids.uuid5(uuids.NAMESPACE_DNS, container_uuid)),
            network_uuid=network.uuid,
            container_uuid=container_uuid,
            mac="02:00:00:00:00:01",
            fixed_ips=(ip,),
        )

    def drop_port(self, port: Port) -> None:
        """Nothing was made outside."""

    def drop_network(self, network: Network) -> None:
        """Nothing was made outside."""


class TakenBack(Exception):
    """The database takes a transaction back for reasons of its own."""


class FragileStore(Sqlite):
    """The database of all processes: each commit may fail, be repeated, go unanswered, or be the
    last deed of its process. One for all schedules.
    """

    def __init__(self) -> None:
        super().__init__(None, threaded=False)
        self.chaos: Chaos | None = None
        self._under_way: Tx | None = None
        self.write(lambda tx: metadata.create_all(tx.connection))
        self._trigger(CLOSED_ONCE)
        self._raw().executescript(LOCKED)
        for table in ("hosts", "projects"):
            self._trigger(RETURNED_ONCE.format(table=table))
            self._trigger(NEVER_BACK.format(table=table))
        self._empty = self._raw().serialize()

    def _trigger(self, text: str) -> None:
        self.write(lambda tx: tx.connection.execute(sa.text(text)))

    def _raw(self) -> Any:
        connection = self._writer.raw_connection()
        try:
            return connection.driver_connection
        finally:
            connection.close()

    def reset(self, chaos: Chaos) -> None:
        """Empty again, for the next schedule."""
        self.chaos = chaos
        self.hints = Hints()
        self._raw().deserialize(self._empty)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What an onlooker sees, who costs as little as possible."""
        found: list[tuple[Any, ...]] = self._raw().execute(query, values).fetchall()
        return found

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        cursor = self._raw().execute(f"SELECT * FROM {name}")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    # --- faults --------------------------------------------------------------------------------

    def write(self, work: Callable[[Tx], T]) -> T:
        """See Store."""
        chaos = self.chaos
        if chaos is None:  # it is being made
            return super().write(work)
        if not chaos.chance(chaos.store_faults):
            return self._write(work)
        fate = chaos.rng.choice(list(self.FATES))
        chaos.note(f"  commit: {fate}")
        answer: T = self.FATES[fate](self, work)
        return answer

    def _write(self, work: Callable[[Tx], T]) -> T:
        if self._under_way:
            return self._amid(self._under_way, work)

        def alone(tx: Tx) -> T:
            execute(tx.connection, "DELETE FROM touched")
            return work(tx)

        return super().write(alone)

    def _refused(self, work: Callable[[Tx], T]) -> T:
        raise errors.Unanswered(what="The database", why="simulated lock")

    def _repeated(self, work: Callable[[Tx], T]) -> T:
        def in_vain(tx: Tx) -> None:
            work(tx)
            self._follow(tx)
            raise TakenBack

        try:
            self._write(in_vain)
        except TakenBack:
            assert self.chaos is not None
            self.chaos.note("    taken back, and once more")
        return self._write(work)

    def _unanswered(self, work: Callable[[Tx], T]) -> T:
        self._write(work)
        raise errors.Unanswered(what="The database", why="simulated silence")

    def _killed_before(self, work: Callable[[Tx], T]) -> T:
        raise ControlKilled

    def _killed_after(self, work: Callable[[Tx], T]) -> T:
        self._write(work)
        raise ControlKilled

    FATES: ClassVar[dict[str, Callable[[FragileStore, Callable[[Tx], Any]], Any]]] = {
        "refused": _refused,
        "repeated": _repeated,
        "unanswered": _unanswered,
        "killed before": _killed_before,
        "killed after": _killed_after,
    }
    """What becomes of a transaction that something happens to."""

    # --- others meanwhile ------------------------------------------------------------------------

    @contextmanager
    def meanwhile(self, tx: Tx) -> Iterator[None]:
        """What others write inside is committed in the midst of a transaction, which sees it, as
        on a server whose transactions run beside each other. (Should that one be taken back,
        theirs is too, which a server would not do.)
        """
        before, self._under_way = self._under_way, tx
        execute(tx.connection, "INSERT INTO locked SELECT id FROM touched")
        try:
            yield
        finally:
            self._under_way = before
            if before is None:
                execute(tx.connection, "DELETE FROM locked")

    def _amid(self, tx: Tx, work: Callable[[Tx], T]) -> T:
        try:
            with tx.connection.begin_nested():
                own = Tx(tx.connection)
                value = work(own)
                self._follow(own)
        except sqlite3.IntegrityError as error:
            if "locked" not in str(error):
                raise
            raise errors.Unanswered(what="The database", why="a lock") from None
        return value

    def _follow(self, tx: Tx) -> None:
        """As Store does at the end of a commit: who fails takes back only his own."""
        for follower in tx.followers.values():
            with suppress(sqlite3.IntegrityError), tx.connection.begin_nested():
                follower(tx)

    def read(self) -> AbstractContextManager[sa.Connection]:
        """See Store."""
        return nullcontext(self._under_way.connection) if self._under_way else super().read()

    def glance(self) -> AbstractContextManager[sa.Connection]:
        """See Store."""
        return nullcontext(self._under_way.connection) if self._under_way else super().glance()


class ContendedPlacer(Placer):
    """A placer between whose look and claim others have their turn."""

    def __init__(
        self,
        store: FragileStore,
        clock: Clock,
        networks: Networks,
        rng: random.Random,
        others: Callable[[], None],
    ) -> None:
        super().__init__(store, clock, networks, rng)
        self._fragile = store
        self._others = others

    def _claim(self, tx: Tx, ready: list[Placed]) -> list[Placed]:
        with self._fragile.meanwhile(tx):
            self._others()
        return super()._claim(tx, ready)


@dataclass
class Outside:
    """What a process of the control side meets besides the database."""

    new_id: Callable[[], str]
    heal_id: Callable[[], str]
    """For the requests of healers."""
    fence: Fence
    others: Callable[[Process], None]
    """What else goes on in the midst of a transaction of this one."""
    between: Callable[[Process], None]
    """What else goes on before a healer writes what it decided."""
    moved: Callable[[str, str], None]
    """See WatchedLost."""


class Process:
    """One process of the control side: an API and a conductor, with nothing but the database in
    common with the others.
    """

    def __init__(
        self,
        name: str,
        chaos: Chaos,
        store: FragileStore,
        outside: Outside,
    ) -> None:
        self.name = name
        self.clock = Clock(chaos.time, chaos.rng)
        self._chaos = chaos
        self._store = store
        self._outside = outside
        self.rebirth()

    def rebirth(self) -> None:
        """A new one in its place."""
        rng, store, outside = self._chaos.rng, self._store, self._outside
        quota = conf.Quota(containers=QUOTA, cpu=-1, memory=-1, disk=-1)
        networks = Networks(store, FlatNetwork())
        others = partial(outside.others, self)
        self.placer = ContendedPlacer(store, self.clock, networks, rng, others)
        self.containers = Containers(
            store,
            self.clock,
            quota,
            rng,
            new_id=outside.new_id,
            place=self.placer.follow if rng.random() < 0.5 else None,
        )
        self.capsules = Capsules(
            store, self.clock, quota, rng, new_id=outside.new_id, place=self.containers._place
        )
        self.heartbeats = Heartbeats(store, self.clock)
        placing = conf.Placing(cpu_ratio=1.0)
        self.hosts = Hosts(store, self.clock, placing, DEPLOYMENT, self.heartbeats.heard)
        self.services = Services(store, self.clock)
        slow = cast("Store", Slow(store, partial(outside.between, self)))
        self.lost = WatchedLost(
            slow, self.clock, conf.Hosts(), [outside.fence], new_id=outside.heal_id
        )
        self.lost.moved = outside.moved

    def place(self) -> int:
        """A turn of its placer."""
        try:
            return self.placer.turn()
        except sqlite3.IntegrityError as error:
            if "UNIQUE" not in str(error):  # that is one of our triggers
                raise
            self._chaos.note("  another placer was faster")
            return 0

    def sweep(self) -> str:
        """What a conductor forgets, but for actions: the invariants need them."""
        before = self.clock.now() - REMEMBERED_S

        def work(tx: Tx) -> dict[str, int]:
            horizons = containers.trim(tx, before)
            for host, horizon in horizons.items():
                hosts.forget(tx, host, horizon)
            projects.trim(tx, before)
            return horizons

        return f"horizons {self._store.write(work)}"
