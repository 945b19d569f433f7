"""What a host must remember over a crash: wishes, commands begun, results not yet acknowledged,
and what its network plugin promised Docker.

One SQLite file in the agent's folder. A write is on disk's way before it returns and survives
the process; after a power cut the last ones may be missing, which is safe, because then no
container of before runs any more and the first look finds that out.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from dolium import errors
from dolium.model import reading

T = TypeVar("T", bound=msgspec.Struct)


class Journal:
    """A small durable map: (kind, key) -> struct. Safe to use from many threads.

    Each method raises Full on a full disk, and Unanswered when the disk fails otherwise.
    """

    def __init__(self, path: Path | None) -> None:
        """path None keeps it in memory, for tests. Raises StartError when it can't be used."""
        self._lock = threading.RLock()
        try:
            self._db = self._open(path)
        except (OSError, sqlite3.Error) as error:
            raise errors.StartError(why=f"The journal {path} can't be used: {error}") from None

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path:
            path.touch(mode=0o600)  # first: what SQLite puts beside it gets the same mode
            path.chmod(0o600)
        # The lock below serializes use, so one connection may serve all threads.
        made = sqlite3.connect(
            str(path) if path else ":memory:", isolation_level=None, check_same_thread=False
        )
        made.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS entry ("
            " kind TEXT NOT NULL, key TEXT NOT NULL, doc BLOB NOT NULL,"
            " PRIMARY KEY (kind, key)) WITHOUT ROWID;"
        )
        return made

    @contextmanager
    def _answering(self) -> Iterator[sqlite3.Connection]:
        """The database for one thread; raises Full or Unanswered when it fails."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.OperationalError as error:
                full = "full" in str(error)
                kind = errors.Full if full else errors.Unanswered
                raise kind(what="The agent's journal", why=str(error)) from None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Several writes, all or none; other threads wait."""
        with self._answering() as db:
            if db.in_transaction:
                yield
                return
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # a full disk took it back already
                    db.execute("ROLLBACK")
                raise

    def put(self, kind: str, key: str, doc: msgspec.Struct) -> None:
        """Write or replace."""
        with self._answering() as db:
            db.execute(
                "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)",
                (kind, key, msgspec.json.encode(doc)),
            )

    def get(self, kind: str, key: str, type: type[T]) -> T | None:
        """Read one; None when there is none."""
        with self._answering() as db:
            row = db.execute(
                "SELECT doc FROM entry WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return reading.read(row[0], type) if row else None

    def all(self, kind: str, type: type[T]) -> dict[str, T]:
        """Read all of a kind, by key."""
        with self._answering() as db:
            rows = db.execute(
                "SELECT key, doc FROM entry WHERE kind = ? ORDER BY key", (kind,)
            ).fetchall()
        return {key: reading.read(doc, type) for key, doc in rows}

    def drop(self, kind: str, key: str) -> bool:
        """Forget one; tells whether it was there."""
        with self._answering() as db:
            done = db.execute("DELETE FROM entry WHERE kind = ? AND key = ?", (kind, key))
            return done.rowcount > 0

    def close(self) -> None:
        """When the agent stops."""
        with self._lock:
            self._db.close()
