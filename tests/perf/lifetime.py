"""What a container costs the database, whatever else is in it: statements from its creation to its
end, and a list of a project's containers among few and among many others.
"""

from __future__ import annotations

import tempfile
import time
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from dolium import conf
from dolium.control.containers import Containers
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.drivers.network.bridge import Bridge
from dolium.model import record
from dolium.model.clock import SystemClock
from dolium.model.wish import Facts
from dolium.store import upgrade
from dolium.store.schema import containers as table
from dolium.store.server import engine
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store
from tests import databases
from tests.databases import MariaDb
from tests.perf import population
from tests.perf.figure import Figure, alternate, ms, raw
from tests.perf.fleet import context

LIVES = 25
FEW, MANY = (10, 200), (200, 4000)
"""Hosts, and containers that run on them."""
LISTED, AMONG_FEW, AMONG_MANY = 200, 1000, 100_000
ROUNDS, LISTS = 7, 10
COUNTED = (
    *("select", "insert", "insert_select", "update", "update_multi", "delete"),
    *("begin", "commit", "rollback", "savepoint", "release_savepoint"),
)
"""MariaDB's counters of statements that are work."""


def measure() -> Iterable[Figure]:
    """On SQLite, and on MariaDB where it is installed."""
    with tempfile.TemporaryDirectory(prefix="dolium-bench-") as name:
        folder = Path(name)
        files = [_table(folder / str(number), number) for number in (AMONG_FEW, AMONG_MANY)]
        stores: list[Store] = [Sqlite(file) for file in files]
        yield _listing("SQLite", stores)
        if missing := MariaDb.missing():
            note = f"not installed: {missing}"
            yield Figure(name="statements", what=_WHAT, target=CONSTANT, note=note)
            return
        with _server() as server:
            stores = [databases.store(server, f"list{at}") for at in range(2)]
            for file, store in zip(files, stores, strict=True):
                population.pour(file, store)
            yield _listing(server.title, stores)
            yield _statements(server, folder)


# --- statements ----------------------------------------------------------------------------------

_WHAT = "Database statements from a container's creation to its end, among many over among few"
CONSTANT = 1.02
"""Nothing but a connection that was asked whether it still is one may differ."""


def _statements(server: MariaDb, folder: Path) -> Figure:
    counts = []
    for at, (hosts, containers) in enumerate((FEW, MANY)):
        file = folder / f"lives{at}"
        each = containers // hosts
        population.running(file, hosts=hosts, projects=hosts, each=each, driver=Bridge())
        store = databases.store(server, f"lives{at}")
        population.pour(file, store)
        counts.append(_lived(server, store))
        store.close()
    few, many = counts
    return Figure(
        name="statements",
        what=_WHAT,
        ours=f"{many:.1f} with {MANY[0]:,} hosts and {MANY[1]:,} containers, BEGIN and COMMIT "
        "among them",
        peer=f"{few:.1f} with {FEW[0]:,} and {FEW[1]:,}",
        value=many / few,
        target=CONSTANT,
    )


def _lived(server: MariaDb, store: Store) -> float:
    """Statements of one life: wish, placing, pull, fact, wish, pull, fact, pull."""
    clock, who = SystemClock(), context("project0")
    client = Containers(store, clock, population.UNLIMITED, Random(1))
    placer = Placer(store, clock, Networks(store, Bridge()), Random(1))
    hosts = Hosts(store, clock, conf.Placing(), "deployment")
    sequence, begun = 1_000_000, 0

    def told(host: str, since: int) -> int:
        nonlocal sequence
        page = hosts.wishes(host, population.BOOT, since, 0)
        facts = []
        for wish in page.wishes:
            sequence += 1
            facts.append(population.fact(wish, sequence, clock.now()))
        if facts:
            hosts.post(Facts(host=host, boot=population.BOOT, facts=tuple(facts)))
        return page.revision

    for life in range(LIVES + 1):
        if life == 1:  # the first one also looks at all hosts
            begun = _counted(server)
        uuid = client.create(who, f"life-{life}", population.SPEC, True).uuid
        placer.turn()
        host = str(client.find(who, uuid).host)
        since = told(host, _revision(store, host) - 1)
        client.delete(who, client.find(who, uuid), stop=True)
        told(host, told(host, since))
    return (_counted(server) - begun) / LIVES


def _revision(store: Store, host: str) -> int:
    with store.glance() as connection:
        query = sa.text("SELECT revision FROM hosts WHERE name = :name")
        return int(connection.execute(query, {"name": host}).scalar_one())


def _counted(server: MariaDb) -> int:
    made = engine(server.url(server.administration))
    with made.connect() as connection:
        rows = connection.execute(sa.text("SHOW GLOBAL STATUS LIKE 'Com\\_%'"))
        found = {name.lower(): int(value) for name, value in rows}
    made.dispose()
    return sum(found[f"com_{name}"] for name in COUNTED)


@contextmanager
def _server() -> Iterator[MariaDb]:
    server = MariaDb()
    try:
        server.start()
        yield server
    finally:
        server.close()


# --- a list --------------------------------------------------------------------------------------


def _table(file: Path, number: int) -> Path:
    """A project's containers, spread among those of others."""
    upgrade.upgrade(file)
    store = Sqlite(file, threaded=False)
    pattern = Containers(store, SystemClock(), population.UNLIMITED, Random(1))
    uuid = pattern.create(context("pattern"), "pattern", population.SPEC, True).uuid
    with store.glance() as connection:
        found = connection.execute(sa.select(table).where(table.c.uuid == uuid)).mappings().one()
    space, rng = number // LISTED, Random(1)

    def row(at: int) -> dict[str, Any]:
        project = "listed" if at % space == 0 else f"other{at // LISTED}"
        made = str(uuids.UUID(int=rng.getrandbits(128), version=4))
        return {**found, "id": at + 10, "uuid": made, "name": f"c{at}", "project_id": project}

    for first in range(0, number, population.BATCH):
        rows = [row(at) for at in range(first, min(number, first + population.BATCH))]
        store.write(lambda tx: tx.run(table.insert(), rows))  # noqa: B023
    store.close()
    return file


def _listing(name: str, stores: list[Store]) -> Figure:
    # SQLite works in this process; of a server one only sees how long it takes.
    clock = time.process_time if name == "SQLite" else time.perf_counter
    few, many = (_listed(store, clock) for store in stores)
    theirs, mine = alternate(ROUNDS, few, many)
    for store in stores:
        store.close()
    return Figure(
        name=f"list-among-many {name}",
        what=f"A list of a project's {LISTED} containers in a table of {AMONG_MANY:,} on {name}, "
        f"over the same in one of {AMONG_FEW:,}",
        ours=ms(mine.p50),
        peer=f"among {AMONG_FEW:,}: {ms(theirs.p50)}",
        value=mine.p50 / theirs.p50,
        target=1.2,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _listed(store: Store, clock: Callable[[], float]) -> Callable[[], float]:
    client = Containers(store, SystemClock(), population.UNLIMITED)
    who, query = context("listed"), record.Query(limit=1000)

    def side() -> float:
        start = clock()
        for _ in range(LISTS):
            if len(client.list(who, query)) != LISTED:
                raise RuntimeError("not the list that was to be measured")
        return (clock() - start) / LISTS

    side()  # pages come from the disk once
    return side
