"""Bringing a database to this code's schema. alembic is loaded only when there is work to do."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from dolium import errors
from dolium.store.connect import Place, shown
from dolium.store.schema import FITS, HEAD, compatibility

LOG = logging.getLogger(__name__)

ALONE_S = 600
"""How long one process waits for another that changes the schema."""
_LOCK = {
    "mariadb": (
        f"SELECT GET_LOCK('dolium-schema', {ALONE_S})",
        "SELECT RELEASE_LOCK('dolium-schema')",
    ),
    "postgresql": ("SELECT pg_advisory_lock(7361534)", "SELECT pg_advisory_unlock(7361534)"),
}


def version(place: Place) -> str | None:
    """The schema version of a database; None when it is new or empty."""
    if isinstance(place, Path):
        return _version_of_file(place)
    with _connected(place) as connection:
        return _version(connection)


def _version_of_file(path: Path) -> str | None:
    if not path.exists():
        return None
    # Each start asks this, and SQLAlchemy would take ten times as long to find out.
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None


def check(place: Place) -> str:
    """Raises StartError, saying what to do, unless this code can work with the database's schema;
    returns which one it is.
    """
    found = version(place)
    if found == HEAD:
        return found
    if _newer(place, found):
        return str(found)
    state = f"has schema {found}" if found else "is empty"
    raise errors.StartError(
        why=f"The database {shown(place)} {state}, this Dolium needs {HEAD}; run `dolium db sync`"
    )


def upgrade(place: Place) -> str | None:
    """Bring the database to HEAD; returns what was done. Of a file a copy is kept.

    Two at once take turns. Raises StartError when the database is newer and not fit for this code.
    """
    found = version(place)
    if found == HEAD or _newer(place, found):
        return None
    copy = _copied(place, found) if isinstance(place, Path) else None
    with _connected(place) as connection, _alone(connection):
        if (found := _version(connection)) is not None and found >= HEAD:
            return None
        _alembic(connection, HEAD)
    if found is None:
        return f"made the database {shown(place)}"
    kept = f", the old one is {copy}" if copy else ""
    return f"upgraded the database from {found} to {HEAD}{kept}"


def downgrade(place: Place, to: str) -> None:
    """Take the schema back to an older version (`base` is nothing at all)."""
    with _connected(place) as connection, _alone(connection):
        _alembic(connection, to, up=False)


def _newer(place: Place, found: str | None) -> bool:
    """Whether the schema is a newer one that is fit for this code; StartError if it is not fit."""
    if found is None or found < HEAD:
        return False
    with _connected(place) as connection:
        since = _since(connection)
    if since is not None and since <= HEAD:
        LOG.info("the schema %s is newer than this Dolium's %s, and fit for it", found, HEAD)
        return True
    raise errors.StartError(
        why=f"The database {shown(place)} has schema {found}, newer than this Dolium's "
        f"{HEAD} and not fit for it. Install the newer Dolium again, or restore the copy made "
        "before its upgrade"
    )


def _since(connection: sa.Connection) -> str | None:
    """The oldest HEAD that works with the schema, as who made it has said."""
    if not sa.inspect(connection).has_table(compatibility.name):
        return None
    found = connection.execute(sa.select(compatibility.c.since)).scalar_one_or_none()
    return str(found) if found is not None else None


def _say_since(connection: sa.Connection, since: str) -> None:
    if sa.inspect(connection).has_table(compatibility.name):
        connection.execute(sa.delete(compatibility))
        connection.execute(sa.insert(compatibility).values(id=1, since=since))


def _copied(path: Path, found: str | None) -> Path | None:
    if found is None:
        path.touch(mode=0o600)
        return None
    copy = path.with_name(f"{path.name}.{found}.{int(time.time())}")
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)
    return copy


@contextmanager
def _connected(place: Place) -> Iterator[sa.Connection]:
    if isinstance(place, Path):
        engine = sa.create_engine(f"sqlite:///{place}", poolclass=sa.NullPool)
    else:
        from dolium.store import server

        engine = server.engine(place, answer_s=ALONE_S)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.OperationalError as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise errors.StartError(why=f"The database {shown(place)} can't be used: {why}") from None
    finally:
        engine.dispose()


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Nobody else changes the schema meanwhile. A file has its folder's lock for that."""
    if connection.dialect.name not in _LOCK:
        yield
        return
    lock, unlock = _LOCK[connection.dialect.name]
    connection.execute(sa.text(lock))
    try:
        yield
    finally:
        connection.execute(sa.text(unlock))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else None


def _alembic(connection: sa.Connection, to: str, *, up: bool = True) -> None:
    # Imported here: 250 ms that a warm start does not need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    connection.commit()
    if connection.dialect.name != "sqlite":  # its connections commit by themselves otherwise
        connection = connection.execution_options(isolation_level="READ COMMITTED")
    since = FITS if up else to
    with connection.begin():
        _say_since(connection, since)  # before too: MariaDB keeps each step of what then fails
        (command.upgrade if up else command.downgrade)(config, to)
        _say_since(connection, since)
