"""Migrations of Keystone's tables survive a kill at any moment."""

import sqlite3
from pathlib import Path

import pytest

from dolium.beside import keystone_schema


class Killed(BaseException):
    pass


class Fake:
    """Stands for Keystone's own migration: each run adds its version to what the table holds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.version = "1"
        self.runs = 0
        self.killed = False
        monkeypatch.setattr(keystone_schema, "_upgrade", self.upgrade)
        monkeypatch.setattr(keystone_schema, "_installed", lambda: self.version)

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "keystone.db")

    def upgrade(self) -> None:
        self.runs += 1
        connection = self.connect()
        connection.execute("create table if not exists upgrades (version text)")
        connection.execute("insert into upgrades values (?)", (self.version,))
        connection.commit()
        connection.close()
        if self.killed:
            raise Killed

    def holds(self) -> list[str]:
        connection = self.connect()
        rows = connection.execute("select version from upgrades").fetchall()
        connection.close()
        return [row[0] for row in rows]

    def start(self, version: str, *, killed: bool = False) -> None:
        self.version, self.killed = version, killed
        if killed:
            with pytest.raises(Killed):
                keystone_schema.migrate(self.folder)
        else:
            keystone_schema.migrate(self.folder)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


def test_a_usual_start_migrates_nothing(fake: Fake) -> None:
    fake.start("1")
    fake.start("1")
    assert fake.runs == 1 and fake.holds() == ["1"]


def test_readers_and_the_writer_work_at_the_same_time(fake: Fake) -> None:
    fake.start("1")
    connection = fake.connect()
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_new_version_is_migrated_once_and_leaves_nothing(fake: Fake) -> None:
    fake.start("1")
    fake.start("2")
    fake.start("2")
    assert fake.holds() == ["1", "2"] and fake.runs == 2
    assert {p.name for p in fake.folder.iterdir()} <= {"keystone.db", "schema"}


def test_a_killed_first_start_begins_anew(fake: Fake) -> None:
    fake.start("1", killed=True)
    fake.start("1")
    assert fake.holds() == ["1"]


def test_a_killed_migration_begins_at_the_copy(fake: Fake) -> None:
    fake.start("1")
    for _ in range(3):
        fake.start("2", killed=True)
    fake.start("2")
    assert fake.holds() == ["1", "2"]


def test_who_goes_back_after_a_killed_migration_gets_the_copy(fake: Fake) -> None:
    fake.start("1")
    fake.start("2", killed=True)
    fake.start("1")
    assert fake.holds() == ["1"]


def test_an_old_copy_is_never_restored_over_newer_data(fake: Fake) -> None:
    fake.start("1")
    fake.start("2", killed=True)
    fake.start("1")
    connection = fake.connect()
    connection.execute("insert into upgrades values ('work of a day')")
    connection.commit()
    connection.close()
    fake.start("2")
    assert fake.holds() == ["1", "work of a day", "2"]
