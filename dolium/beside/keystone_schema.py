"""Keystone's tables: made, migrated and safe against a kill at any moment. Runs in the child.

Which Keystone the tables belong to is remembered in a file, so that a usual start asks nothing.
"""

from __future__ import annotations

import shutil
import sqlite3
from importlib import metadata
from pathlib import Path

from dolium.beside import files


def migrate(folder: Path) -> None:
    """Bring `keystone.db` to the installed Keystone's schema; called after its configuration.

    A first start that was killed left tables nobody relies on: they are made anew. A migration that
    was killed left the copy made before it, named by the version it holds: that one counts.
    """
    database, version = folder / "keystone.db", folder / "schema"
    wanted = _installed()
    present = version.read_text().strip() if version.exists() else None
    copy = folder / f"keystone.db.{present}"
    if present is None:
        _remove(database)
    elif copy.exists():
        _remove(database)
        shutil.copyfile(copy, database)
    elif present != wanted:
        _copy(database, copy)
    if present != wanted:
        _upgrade()
        _concur(database)
        files.write(version, wanted + "\n")
    copy.unlink(missing_ok=True)


def _installed() -> str:
    return metadata.version("keystone")


def _upgrade() -> None:
    from keystone.common.sql import upgrades

    upgrades.offline_sync_database_to_version()


def _concur(database: Path) -> None:
    """Let readers and the writer work at the same time; the setting stays in the file."""
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _copy(database: Path, target: Path) -> None:
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    try:
        connection.execute("VACUUM INTO ?", (str(new),))
    finally:
        connection.close()
    new.replace(target)


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):  # a stale log would be played into a new file
        database.with_name(database.name + suffix).unlink(missing_ok=True)
