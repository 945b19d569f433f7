"""The database: one writer with group commit, short read-only readers.

SQLite with write-ahead log and `synchronous=FULL`: what was answered survives a power cut.
Writers' work arriving while a commit is on its way to disk shares the next one.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool, StaticPool

from dolium import errors
from dolium.store.hints import Hints
from dolium.store.plain import Plain

LOG = logging.getLogger(__name__)

T = TypeVar("T")

Connection = sa.Connection
"""What statements run on; other layers pass it on and never look inside."""

MOST_TOGETHER = 64
"""Pieces of work that share one commit at most, so that none waits long."""


MOST_IDLE = 8
"""Connections for reading that are kept at hand."""


class Tx:
    """One writing transaction, what follows on it, and whom to wake once it is durable."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.hints: set[str] = set()
        self.followers: dict[str, Follower] = {}

    def run(self, statement: sa.Executable, rows: Any = None) -> sa.CursorResult[Any]:
        """Execute; a list of rows is an executemany."""
        return self.connection.execute(statement, rows)

    def plain(self, statement: Plain, values: dict[str, Any]) -> Any:
        """Execute on the hot path; returns the driver's cursor."""
        return statement.run(self.connection, values)

    def many(self, statement: Plain, rows: Sequence[dict[str, Any]]) -> int:
        """Execute for each of at least one row; returns rows touched."""
        return statement.many(self.connection, rows)

    def fill(self, statement: Plain, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert at least one row, each a tuple in the order of the statement's columns."""
        statement.fill(self.connection, rows)

    def hint(self, topic: str) -> None:
        """Wake whoever waits for the topic, after the commit."""
        self.hints.add(topic)

    def follow(self, topic: str, work: Follower) -> None:
        """Do `work` at the end of this commit, once for all who share it.

        If it fails it takes back only its own changes, and the topic is hinted at instead.
        """
        self.followers[topic] = work


Follower = Callable[[Tx], object]


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Tx], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.value: T
        self.error: BaseException | None = None
        self.hints: set[str] = set()
        self.followers: dict[str, Follower] = {}

    def attempt(self, connection: sa.Connection) -> None:
        tx = Tx(connection)
        try:
            with _named_errors():
                self.value = self.work(tx)
            self.hints, self.followers = tx.hints, tx.followers
        except Exception as error:
            self.error = error
            raise


class Store:
    """Reads and writes of all roles of this process."""

    def __init__(self, path: Path | None, *, threaded: bool = True) -> None:
        """path None is a database in memory; threaded False writes in the caller's thread."""
        self.hints = Hints()
        self.path = path
        self._writer = _engine(path, write=True)
        self._reader = self._writer if path is None else _engine(path, write=False)
        # The last one used is the next: its pages are still at hand. The pool's own way of
        # handing out and taking back would cost a short read as much as its statement.
        self._idle: deque[sa.Connection] = deque()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        if threaded:
            self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
            self._thread.start()

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A short look: all statements see the same, which is all that was committed before."""
        return _Reading(self, together=True)

    def glance(self) -> AbstractContextManager[sa.Connection]:
        """A look of one statement, which needs no transaction of its own."""
        return _Reading(self, together=False)

    def lend(self) -> sa.Connection:
        """A connection for reading."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._reader.connect()

    def take_back(self, connection: sa.Connection) -> None:
        """One that was lent and is as good as new."""
        if self._closed or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction of its own; returns after the commit is on disk.

        Whatever `work` raises takes back its own changes only. `work` must be quick and
        touch nothing but the transaction: it may share its commit with others.
        """
        if self._closed:
            raise errors.Shutdown()
        job = _Job(work)
        if self._thread is None:
            self._commit([job])
        else:
            self._jobs.put(job)
            job.done.wait()
        if job.error is not None:
            raise job.error
        return job.value

    def close(self) -> None:
        """Finish what was handed in, then let go of the file."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
        while self._idle:
            self._idle.pop().close()
        self._writer.dispose()
        self._reader.dispose()

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            ending = False
            while len(jobs) < MOST_TOGETHER and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    ending = True
                    break
                jobs.append(job)
            self._commit(jobs)
            if ending:
                return

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        hints: list[str] = []
        try:
            with _named_errors(), self._writer.begin() as connection:
                _begin(connection, "BEGIN IMMEDIATE")
                if len(jobs) == 1:
                    jobs[0].attempt(connection)
                else:
                    for job in jobs:
                        _apart(job, connection)
                hints = _follow([job for job in jobs if job.error is None], connection)
        except Exception as error:  # the commit failed, or the only job did: nobody was served
            for job in jobs:
                job.error = job.error or error
        else:
            for topic in hints:
                self.hints.give(topic)
        for job in jobs:
            job.done.set()


class _Reading:
    """For `with`: a connection for reading. A class, as a generator costs a short read a tenth."""

    __slots__ = ("_connection", "_store", "_together")

    def __init__(self, store: Store, *, together: bool) -> None:
        self._store = store
        self._together = together

    def __enter__(self) -> sa.Connection:
        try:
            self._connection = connection = self._store.lend()
            if self._together:
                _begin(connection, "BEGIN")
        except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
            raise _named(error) from None
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        connection = self._connection
        if error is None:
            if self._together or connection.in_transaction():
                _end(connection)
            self._store.take_back(connection)
            return
        connection.close()
        if isinstance(error, (sa.exc.OperationalError, sqlite3.OperationalError)):
            raise _named(error) from None


def _apart(job: _Job[Any], connection: sa.Connection) -> None:
    """Attempt a job so that its failure takes back nothing but its own changes."""
    driver: Any = connection.connection.driver_connection  # as in `_begin`
    driver.execute("SAVEPOINT job")
    try:
        job.attempt(connection)
    except Exception as error:
        try:
            driver.execute("ROLLBACK TO job")
        except sqlite3.OperationalError as lost:  # SQLite took all of the transaction back
            raise (error if isinstance(error, errors.Full) else lost) from None
    driver.execute("RELEASE job")


def _follow(jobs: list[_Job[Any]], connection: sa.Connection) -> list[str]:
    """Do what the jobs want at the end of the commit; returns the topics to hint at."""
    hints = [topic for job in jobs for topic in job.hints]
    followers = {topic: work for job in jobs for topic, work in job.followers.items()}
    for topic, work in followers.items():
        job: _Job[object] = _Job(work)
        _apart(job, connection)
        if job.error is None:
            hints += job.hints
        else:
            LOG.warning("%s did not follow a commit and is put off: %s", topic, job.error)
            hints.append(topic)
    return hints


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
        raise _named(error) from None


def _named(error: Exception) -> errors.Error:
    why = str(getattr(error, "orig", error))
    kind = errors.Full if "full" in why else errors.Unanswered
    return kind(what="The database", why=why)


def _engine(path: Path | None, *, write: bool) -> sa.Engine:
    if path is None:
        engine = sa.create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
    else:
        engine = sa.create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=1 if write else 8,
            max_overflow=0 if write else 56,
            connect_args={"check_same_thread": False, "timeout": 30},
        )

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The driver's own idea of when to begin is in the way of BEGIN IMMEDIATE.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")
        if write:
            connection.execute("PRAGMA journal_mode=WAL")
        else:
            connection.execute("PRAGMA query_only=ON")

    return engine


def _begin(connection: sa.Connection, how: str) -> None:
    # Straight to the driver: an event listener and a statement of its own cost a read 90 us.
    driver: Any = connection.connection.driver_connection
    driver.execute(how)


def _end(connection: sa.Connection) -> None:
    if connection.in_transaction():
        connection.rollback()
    else:  # SQLAlchemy saw no statement and knows of no transaction
        connection.connection.rollback()
