"""The configured database, for commands that only need that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dolium import conf, errors

if TYPE_CHECKING:
    from dolium.store.connect import Place
    from dolium.store.store import Store


def place(config: conf.Config) -> Place:
    """Where it is."""
    from dolium.store.connect import where

    return where(config.database, config.state_dir / "dolium.sqlite")


@contextmanager
def opened(config: conf.Config) -> Iterator[Store]:
    """For `with`: the store. Raises StartError unless its schema is fit for this Dolium."""
    from dolium.store import upgrade
    from dolium.store.connect import connect

    found = place(config)
    if isinstance(found, Path) and not found.exists():
        raise errors.StartError(why=f"There is no database in {config.state_dir}")
    upgrade.check(found)
    store = connect(config.database, config.state_dir / "dolium.sqlite")
    try:
        yield store
    finally:
        store.close()
