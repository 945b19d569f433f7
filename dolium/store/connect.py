"""Opens the database that the configuration names."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from dolium import conf, errors
from dolium.store.store import Store

Place = Path | sa.URL
"""Where a database is: an SQLite file or a server."""


def where(config: conf.Database, path: Path) -> Place:
    """The server that is configured, else the file at `path`; raises StartError."""
    if not config.connection:
        return path
    try:
        return sa.engine.make_url(config.connection)
    except sa.exc.ArgumentError:  # its text has the password in it
        raise errors.StartError(
            why="[database] connection is no address of a database, such as "
            "mariadb+pymysql://dolium:PASSWORD@db.example.org/dolium"
        ) from None


def shown(place: Place) -> str:
    """For people, without a password."""
    if isinstance(place, Path):
        return str(place)
    return place.render_as_string(hide_password=True)


def connect(config: conf.Database, path: Path) -> Store:
    """The store itself; its schema is the caller's matter."""
    place = where(config, path)
    # Each kind is loaded only where it is used.
    if isinstance(place, Path):
        from dolium.store.sqlite import Sqlite

        return Sqlite(place)
    from dolium.store.server import Server

    return Server(place, connections=config.connections)
