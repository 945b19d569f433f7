"""Upgrading one process after another: what a migration may do, what an older Dolium accepts."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dolium import errors
from dolium.cli.main import main
from dolium.store import deployments, migrations, upgrade
from dolium.store.schema import FITS, HEAD
from dolium.store.sqlite import Sqlite

FOLDER = Path(str(migrations.__path__[0])) / "versions"
ADDS = {"create_table", "create_index", "add_column", "execute", "bulk_insert"}
"""What an older Dolium does not notice, of alembic's operations."""


def newer_than(version: str) -> list[Path]:
    return [path for path in sorted(FOLDER.glob("0*.py")) if path.name[:4] > version]


def does(source: str) -> Iterator[ast.Call]:
    """What a migration's upgrade, and what it calls, does to the schema."""
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.name != "downgrade":
            yield from (node for node in ast.walk(function) if isinstance(node, ast.Call))


def harm(source: str) -> list[str]:
    """What an older Dolium would stumble over."""
    found = []
    for call in does(source):
        function = call.func
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
            continue
        on, name = function.value.id, function.attr
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if on in ("op", "batch") and name not in ADDS:
            found.append(f"{name} changes what is there")
        if name == "create_index" and given.get("unique") == "True":
            found.append("a unique index refuses what an older Dolium may write")
        if name == "add_column":
            column = next(arg for arg in call.args if isinstance(arg, ast.Call))
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in column.keywords}
            if options.get("nullable") == "False" and "server_default" not in options:
                found.append("an older Dolium writes rows without the column")
    return found


def test_migrations_that_an_older_dolium_may_meet_only_add() -> None:
    found = {path.name: harm(path.read_text()) for path in newer_than(FITS)}
    assert {name: harms for name, harms in found.items() if harms} == {}


def test_what_does_more_is_noticed() -> None:
    assert harm((FOLDER / "0007_tombstones_of_each_host.py").read_text())
    assert harm("def upgrade():\n op.add_column('t', sa.Column('c', Integer, nullable=False))")
    assert harm("def upgrade():\n op.create_index('i', 't', ['c'], unique=True)")
    assert not harm("def upgrade():\n op.add_column('t', sa.Column('c', Integer))")


def newer(path: Path, since: str) -> None:
    """The schema of a Dolium to come."""
    upgrade.upgrade(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE hosts ADD COLUMN colour VARCHAR(16)")
        db.execute("CREATE TABLE colours (name VARCHAR(16) PRIMARY KEY)")
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.execute("UPDATE compatibility SET since = ?", (since,))


def test_a_newer_schema_that_says_it_is_fit_is_worked_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dolium.sqlite"
    newer(path, since=HEAD)
    assert upgrade.check(path) == "9999"
    assert upgrade.upgrade(path) is None
    assert upgrade.version(path) == "9999"
    store = Sqlite(path)
    assert deployments.ensure(store, 1.0)
    store.close()
    assert main(["db", "check", "--state-dir", str(tmp_path)]) == 0
    assert "schema 9999, newer and fit" in capsys.readouterr().out


@pytest.mark.parametrize("since", ["9998", "9999"])
def test_a_newer_schema_that_is_for_newer_ones_is_refused(tmp_path: Path, since: str) -> None:
    path = tmp_path / "dolium.sqlite"
    newer(path, since)
    for work in (upgrade.check, upgrade.upgrade):
        with pytest.raises(errors.StartError, match="not fit for it"):
            work(path)


def test_an_older_schema_is_never_fit(tmp_path: Path) -> None:
    path = tmp_path / "dolium.sqlite"
    upgrade.upgrade(path)
    upgrade.downgrade(path, "0001")
    with pytest.raises(errors.StartError, match="dolium db sync"):
        upgrade.check(path)


def test_who_upgrades_says_for_whom_the_schema_is_fit(tmp_path: Path) -> None:
    path = tmp_path / "dolium.sqlite"
    upgrade.upgrade(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT since FROM compatibility").fetchall() == [(FITS,)]
