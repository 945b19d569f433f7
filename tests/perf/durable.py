"""Containers placed and durable per second, over writing the same rows and nothing else: on SQLite,
MariaDB and PostgreSQL.

Both sides commit as often, and each commit is on disk before they go on.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from dolium.control.placer import MOST_AT_ONCE
from dolium.store.server import Server, engine
from dolium.store.sqlite import WRITING, Sqlite
from dolium.store.store import Store
from tests import databases
from tests.databases import SERVERS, Database
from tests.perf import population
from tests.perf.figure import Figure, alternate, raw

HOSTS, PROJECTS, EACH, ROUNDS = 1000, 100, 60, 7
TARGET = 0.6
WRITTEN = {
    "claims": "container_uuid",
    "ports": "container_uuid",
    "addresses": "port_uuid",
    "networks": "uuid",
    "ranges": "network_uuid",
}
"""Tables that placing fills, and what their rows are told apart by."""
FIRST = ("networks", "ranges")
"""Those that the first batch fills."""
DURABLE = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
CONTAINERS_SQL = (
    "UPDATE containers SET host=?, stage=?, revision=?, addresses=?, placed_reason=? WHERE uuid=?"
)
HOSTS_SQL = (
    "UPDATE hosts SET used_cpu_m=?, used_memory_mib=?, used_disk_gib=?, used_dedicated=?, "
    "revision=? WHERE name=?"
)


class Work(Struct, frozen=True):
    """What one batch of placing left in the database: rows by table, and the changed columns."""

    inserts: dict[str, list[tuple[object, ...]]]
    containers: list[tuple[object, ...]]
    hosts: list[tuple[object, ...]]


def measure() -> Iterable[Figure]:
    """Time until everything that waits has a host, a claim and a port on disk."""
    with tempfile.TemporaryDirectory(prefix="dolium-bench-") as folder:
        waiting, placed = Path(folder, "waiting"), Path(folder, "placed")
        population.waiting(waiting, hosts=HOSTS, projects=PROJECTS, each=EACH)
        _place_file(waiting, placed)
        work = _work(placed)

        def ours() -> float:
            return _place_file(waiting, placed)

        def floor() -> float:
            return _write_file(waiting, placed, work)

        def tuned() -> float:
            return _write_file(waiting, placed, work, WRITING)

        yield _figure("SQLite", ours, floor, tuned)
        for kind in SERVERS:
            yield _on(kind, waiting, work)


def _figure(
    name: str,
    ours: Callable[[], float],
    floor: Callable[[], float],
    tuned: Callable[[], float] | None = None,
) -> Figure:
    """tuned: the floor on a database with our settings, for whoever wants to compare with that."""
    mine, theirs, *others = alternate(ROUNDS, ours, floor, *([tuned] if tuned else []))
    total = PROJECTS * EACH
    alike = ", with Dolium's settings of the database {:,.0f}/s, of which this is {:.2f}x"
    return Figure(
        name=f"durable {name}",
        what=f"Containers placed on {HOSTS:,} hosts and durable per second on {name}, over "
        "executemany of the same rows",
        ours=f"{total / mine.p50:,.0f}/s",
        peer=f"executemany: {total / theirs.p50:,.0f}/s"
        + "".join(alike.format(total / other.p50, other.p50 / mine.p50) for other in others),
        value=theirs.p50 / mine.p50,
        target=TARGET,
        at_least=True,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _timed_placing(store: Store) -> float:
    start = time.perf_counter()
    population.place(store)
    took = time.perf_counter() - start
    with store.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM containers WHERE host IS NULL")
        if left.scalar_one():
            raise RuntimeError("not everything was placed")
    return took


# --- SQLite --------------------------------------------------------------------------------------


def _place_file(waiting: Path, path: Path) -> float:
    _fresh(waiting, path)
    store = Sqlite(path)
    took = _timed_placing(store)
    store.close()
    return took


def _work(placed: Path) -> list[Work]:
    with sqlite3.connect(placed) as db:
        ids = [row[0] for row in db.execute("SELECT uuid FROM containers ORDER BY id")]
        return [
            _batch(db, set(ids[at : at + MOST_AT_ONCE]), first=at == 0)
            for at in range(0, len(ids), MOST_AT_ONCE)
        ]


def _batch(db: sqlite3.Connection, ids: set[str], *, first: bool) -> Work:
    inserts = {}
    for table, key in WRITTEN.items():
        cursor = db.execute(f"SELECT * FROM {table}")
        at = [column[0] for column in cursor.description].index(key)
        inserts[table] = [row for row in cursor if row[at] in ids or (first and table in FIRST)]
    containers = db.execute(
        "SELECT host, stage, revision, addresses, placed_reason, uuid FROM containers"
    )
    own = [row for row in containers if row[-1] in ids]
    used = {row[0] for row in own}
    hosts = db.execute(
        "SELECT used_cpu_m, used_memory_mib, used_disk_gib, used_dedicated, revision, name "
        "FROM hosts"
    )
    return Work(inserts, own, [row for row in hosts if row[-1] in used])


def _write_file(
    waiting: Path, path: Path, work: list[Work], settings: Collection[str] = DURABLE
) -> float:
    _fresh(waiting, path)
    db = sqlite3.connect(path, isolation_level=None)
    for setting in settings:
        db.execute(setting)
    took = _timed_writing(db.execute, db.executemany, "?", work)
    db.close()
    return took


def _timed_writing(
    execute: Callable[[str], Any],
    executemany: Callable[[str, list[tuple[object, ...]]], Any],
    mark: str,
    work: list[Work],
) -> float:
    start = time.perf_counter()
    for batch in work:
        execute("BEGIN")
        for table, rows in batch.inserts.items():
            if rows:
                marks = ", ".join([mark] * len(rows[0]))
                executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        executemany(CONTAINERS_SQL.replace("?", mark), batch.containers)
        executemany(HOSTS_SQL.replace("?", mark), batch.hosts)
        execute("COMMIT")
    return time.perf_counter() - start


def _fresh(source: Path, path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(source, path)


# --- servers -------------------------------------------------------------------------------------


def _on(kind: type[Database], waiting: Path, work: list[Work]) -> Figure:
    if missing := kind.missing():
        return Figure(
            name=f"durable {kind.title}",
            what=f"The same on {kind.title}",
            target=TARGET,
            at_least=True,
            note=f"not installed: {missing}",
        )
    with _running(kind) as server:
        store = databases.store(server, "bench")

        def ours() -> float:
            _refill(store, waiting)
            return _timed_placing(store)

        def floor() -> float:
            _refill(store, waiting)
            made = engine(server.url("bench"))
            with made.connect() as connection:
                cursor = connection.connection.cursor()
                took = _timed_writing(cursor.execute, cursor.executemany, "%s", work)
            made.dispose()
            return took

        figure = _figure(kind.title, ours, floor)
        store.close()
        return figure


@contextmanager
def _running(kind: type[Database]) -> Iterator[Database]:
    server = kind()
    try:
        yield server.start()
    finally:
        server.close()


def _refill(store: Server, waiting: Path) -> None:
    """The rows of the file in the server's tables, as they were before anything was placed."""
    databases.empty(store)
    population.pour(waiting, store)
