"""Containers placed and durable per second, over writing the same rows and nothing else.

Both sides commit as often, with the log on disk before they go on (`synchronous=FULL`).
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from dolium.control.placer import MOST_AT_ONCE
from dolium.store.store import Store
from tests.perf import population
from tests.perf.figure import Figure, alternate, raw

HOSTS, PROJECTS, EACH, ROUNDS = 50, 100, 60, 3
WRITTEN = {
    "claims": "container_uuid",
    "ports": "container_uuid",
    "addresses": "port_uuid",
    "networks": "uuid",
}
"""Tables that placing fills, and what their rows are told apart by."""


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
        _place(waiting, placed)
        work = _work(placed)

        def ours() -> float:
            return _place(waiting, placed)

        def floor() -> float:
            return _write(waiting, placed, work)

        mine, theirs = alternate(ROUNDS, ours, floor)
    total = PROJECTS * EACH
    yield Figure(
        name="durable",
        what="Containers placed and durable per second on SQLite, over executemany of the same "
        "rows",
        ours=f"{total / mine.p50:,.0f}/s",
        peer=f"executemany: {total / theirs.p50:,.0f}/s",
        value=theirs.p50 / mine.p50,
        target=0.6,
        at_least=True,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _place(waiting: Path, path: Path) -> float:
    _fresh(waiting, path)
    store = Store(path)
    start = time.perf_counter()
    population.place(store)
    took = time.perf_counter() - start
    with store.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM containers WHERE host IS NULL")
        if left.scalar_one():
            raise RuntimeError("not everything was placed")
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
        inserts[table] = [
            row for row in cursor if row[at] in ids or (first and table == "networks")
        ]
    containers = db.execute(
        "SELECT host, stage, revision, addresses, placed_reason, uuid FROM containers"
    )
    hosts = db.execute(
        "SELECT used_cpu_m, used_memory_mib, used_disk_gib, used_dedicated, revision, name "
        "FROM hosts"
    )
    return Work(inserts, [row for row in containers if row[-1] in ids], hosts.fetchall())


def _write(waiting: Path, path: Path, work: list[Work]) -> float:
    _fresh(waiting, path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    start = time.perf_counter()
    for batch in work:
        db.execute("BEGIN IMMEDIATE")
        for table, rows in batch.inserts.items():
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        db.executemany(
            "UPDATE containers SET host=?, stage=?, revision=?, addresses=?, placed_reason=? "
            "WHERE uuid=?",
            batch.containers,
        )
        db.executemany(
            "UPDATE hosts SET used_cpu_m=?, used_memory_mib=?, used_disk_gib=?, "
            "used_dedicated=?, revision=? WHERE name=?",
            batch.hosts,
        )
        db.execute("COMMIT")
    took = time.perf_counter() - start
    db.close()
    return took


def _fresh(source: Path, path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(source, path)
