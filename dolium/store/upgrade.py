"""Bringing a database to this code's schema. alembic is loaded only when there is work to do."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from dolium import errors
from dolium.store.schema import HEAD

LOG = logging.getLogger(__name__)


def version(path: Path) -> str | None:
    """The schema version of a database file; None when it is new or empty."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None


def upgrade(path: Path) -> str | None:
    """Bring the file to HEAD, keeping a copy of what was there; returns what was done.

    Raises StartError when the database is newer than this code.
    """
    found = version(path)
    if found == HEAD:
        return None
    if found is not None and found > HEAD:
        raise errors.StartError(
            why=f"The database {path} has schema {found}, newer than this Dolium's {HEAD}. "
            "Install the newer Dolium again, or restore the copy made before its upgrade"
        )
    copy = None
    if found is not None:
        copy = path.with_name(f"{path.name}.{found}.{int(time.time())}")
        with closing(sqlite3.connect(path)) as db:
            db.execute("VACUUM INTO ?", (str(copy),))
        copy.chmod(0o600)
    path.touch(mode=0o600)
    _alembic(path, HEAD)
    if copy is None:
        return f"made the database {path}"
    return f"upgraded the database from {found} to {HEAD}, the old one is {copy}"


def downgrade(path: Path, to: str) -> None:
    """Take the schema back to an older version (`base` is nothing at all)."""
    _alembic(path, to, up=False)


def _alembic(path: Path, to: str, *, up: bool = True) -> None:
    # Imported here: 250 ms that a warm start does not need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    (command.upgrade if up else command.downgrade)(config, to)
