"""The writer shares commits, keeps failures apart and survives what it must."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dolium import errors
from dolium.model.metric import COMMITS, JOBS
from dolium.store import hosts, liveness, upgrade
from dolium.store.schema import HEAD, metadata, ranges
from dolium.store.sqlite import Sqlite
from dolium.store.store import Tx


def store(path: Path) -> Sqlite:
    upgrade.upgrade(path)
    return Sqlite(path)


def add(name: str) -> object:
    def work(tx: Tx) -> str:
        tx.run(ranges.insert(), {"cidr": name, "network_uuid": ""})
        if name.startswith("bad"):
            raise errors.Conflict(why=name)
        tx.hint("added")
        return name

    return work


def test_many_writers_share_commits_and_failures_stay_their_own(tmp_path: Path) -> None:
    db = store(tmp_path / "db")
    outcomes: dict[str, object] = {}

    def write(name: str) -> None:
        try:
            outcomes[name] = db.write(add(name))  # type: ignore[arg-type]
        except errors.Conflict as error:
            outcomes[name] = str(error)

    names = [f"{kind}{number}" for kind in ("good", "bad") for number in range(40)]
    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as connection:
        kept = {row[0] for row in connection.execute(sa.select(ranges.c.cidr))}
    assert kept == {name for name in names if name.startswith("good")}
    assert outcomes == {name: name for name in names}
    assert 1 <= db.hints.count("added") <= 40  # once for all who share a commit
    db.close()
    with pytest.raises(errors.Shutdown):
        db.write(lambda tx: None)


def follow(tx: Tx) -> None:
    """Leave a row that tells how many there were when it was written."""
    count = tx.run(sa.select(sa.func.count()).select_from(ranges)).scalar_one()
    tx.run(ranges.insert(), {"cidr": f"after {count}", "network_uuid": ""})
    tx.hint("followed")


def rows(db: Sqlite) -> set[str]:
    with db.read() as connection:
        return {row[0] for row in connection.execute(sa.select(ranges.c.cidr))}


def test_what_follows_a_commit_is_in_it_and_done_once_for_all_who_share_it(tmp_path: Path) -> None:
    db = store(tmp_path / "db")
    going, together = threading.Event(), threading.Barrier(4)

    def slow(_tx: Tx) -> None:
        together.wait()
        going.wait(30)

    def want(name: str) -> None:
        def work(tx: Tx) -> None:
            tx.run(ranges.insert(), {"cidr": name, "network_uuid": ""})
            tx.follow("topic", follow)

        if name != "c":
            together.wait()
        db.write(slow if name == "c" else work)

    threads = [threading.Thread(target=want, args=(name,)) for name in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    while db._jobs.qsize() < 3:  # all three wait for the one commit that is held up
        pass
    going.set()
    for thread in threads:
        thread.join()
    assert rows(db) == {"a", "b", "d", "after 3"}
    assert (db.hints.count("followed"), db.hints.count("topic")) == (1, 0)
    db.close()


def test_what_is_told_after_a_commit_is_told_once_and_only_if_it_is_durable(tmp_path: Path) -> None:
    db = store(tmp_path / "db")
    told: list[set[str]] = []

    def work(tx: Tx, name: str, *, well: bool) -> None:
        tx.run(ranges.insert(), {"cidr": name, "network_uuid": ""})
        tx.then(lambda: told.append(rows(db)))
        if not well:
            raise errors.Conflict(why="no")

    def follower(tx: Tx) -> None:
        work(tx, "after", well=True)

    db.write(lambda tx: work(tx, "a", well=True))
    with pytest.raises(errors.Conflict):
        db.write(lambda tx: work(tx, "b", well=False))
    assert told == [{"a"}]
    db.write(lambda tx: tx.follow("topic", follower))
    assert told == [{"a"}, {"a", "after"}]
    assert db.meter.counts(JOBS) == {(): 2}
    assert sum(db.meter.spreads(COMMITS)[()].counts) == 2
    db.close()


def test_a_follower_that_fails_is_put_off_and_harms_nobody(tmp_path: Path) -> None:
    db = store(tmp_path / "db")

    def fail(tx: Tx) -> None:
        follow(tx)
        raise errors.Conflict(why="no")

    def work(tx: Tx) -> str:
        tx.follow("topic", fail)
        return str(tx.run(ranges.insert(), {"cidr": "a", "network_uuid": ""}).rowcount)

    assert db.write(work) == "1"
    assert rows(db) == {"a"}
    assert (db.hints.count("followed"), db.hints.count("topic")) == (0, 1)
    db.close()


def test_a_follower_that_breaks_the_transaction_fails_who_shared_it(tmp_path: Path) -> None:
    """As a full disk does: nobody may be told that something was written down."""
    db = store(tmp_path / "db")

    def breaks(tx: Tx) -> None:
        tx.run(sa.text("ROLLBACK"))
        raise errors.Conflict(why="no")

    def work(tx: Tx) -> None:
        tx.run(ranges.insert(), {"cidr": "a", "network_uuid": ""})
        tx.follow("topic", breaks)

    with pytest.raises(errors.Unanswered):
        db.write(work)
    assert rows(db) == set()
    db.write(add("good"))  # type: ignore[arg-type]
    db.close()


def test_readers_can_not_write(tmp_path: Path) -> None:
    db = store(tmp_path / "db")
    with pytest.raises(errors.Unanswered, match="readonly"), db.read() as connection:
        connection.execute(ranges.insert(), {"cidr": "x", "network_uuid": ""})
    db.close()


def test_a_full_disk_is_said_and_heals(tmp_path: Path) -> None:
    db = store(tmp_path / "db")
    size = db.write(lambda tx: int(tx.run(sa.text("PRAGMA page_count")).scalar_one()))
    db.write(lambda tx: tx.run(sa.text(f"PRAGMA max_page_count={size}")).scalar_one())

    def much(tx: Tx) -> None:
        tx.run(ranges.insert(), {"cidr": "y" * 20000, "network_uuid": ""})

    with pytest.raises(errors.Full):
        db.write(much)
    db.write(lambda tx: tx.run(sa.text("PRAGMA max_page_count=100000")).scalar_one())
    db.write(much)
    db.close()


def test_migrations_make_exactly_the_schema_and_take_it_back(tmp_path: Path) -> None:
    path = tmp_path / "db"
    assert "made" in str(upgrade.upgrade(path))
    assert upgrade.version(path) == HEAD
    assert upgrade.upgrade(path) is None
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    upgrade.downgrade(path, "base")
    with closing(sqlite3.connect(path)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert tables <= {"alembic_version", "sqlite_sequence"}


def test_a_migration_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "db"
    upgrade.upgrade(path)
    fill(path, "deployment (id, uuid, created_at) VALUES (1, 'one', 1.5)")
    network = {"subnets": [{"cidr": "10.0.0.0/24"}, {"cidr": "fd00::/64"}]}
    fill(path, "networks VALUES ('n1', 'p1', 1.0, CAST(? AS BLOB))", json.dumps(network))
    fill(path, "ranges VALUES ('10.0.0.0/24', 'n1'), ('fd00::/64', 'n1')")
    upgrade.downgrade(path, "0001")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT uuid, created_at FROM deployment").fetchall() == [("one", 1.5)]
    assert f"upgraded the database from 0001 to {HEAD}" in str(upgrade.upgrade(path))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM deployment").fetchall() == [(1, "one", 1.5)]
        found = db.execute("SELECT * FROM ranges ORDER BY cidr").fetchall()
    assert found == [("10.0.0.0/24", "n1"), ("fd00::/64", "n1")]
    assert len(list(tmp_path.glob("db.0001.*"))) == 1


def fill(path: Path, what: str, *values: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"INSERT INTO {what}", values)


def test_hosts_of_before_signs_of_life_are_counted_as_living(tmp_path: Path) -> None:
    path = tmp_path / "db"
    upgrade.upgrade(path)
    upgrade.downgrade(path, "0001")
    values = {
        **{
            "uuid": "u",
            "name": "host1",
            "boot": "b",
            "epoch": 3,
            "zone": "nova",
            "inventory": b"{}",
        },
        **{"disabled": 0, "revision": 1, "horizon": 0, "created_at": 1.0, "updated_at": 2.0},
        **{f"total_{name}": 1 for name in ("cpu_m", "memory_mib", "disk_gib")},
        **{f"used_{name}": 0 for name in ("cpu_m", "memory_mib", "disk_gib")},
    }
    with closing(sqlite3.connect(path)) as db, db:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        db.execute(f"INSERT INTO hosts ({names}) VALUES ({marks})", tuple(values.values()))
    made = store(path)
    with made.read() as connection:
        (life,) = liveness.lives(connection)
        assert hosts.loads(connection) == [("host1", 3, 2.0, 0, 0, 0, 0, 0, 0)]
    assert (life.beat, life.silent, life.held, life.proof) == (0, False, False, None)
    made.close()
