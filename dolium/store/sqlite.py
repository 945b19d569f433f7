"""One file, one writer with group commit, short read-only readers.

SQLite with write-ahead log and `synchronous=FULL`: what was answered survives a power cut.
Writers' work arriving while a commit is on its way to disk shares the next one.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool, StaticPool

from dolium import errors
from dolium.model import metric
from dolium.store.faults import Fault, known, named
from dolium.store.idle import Reading, execute
from dolium.store.store import Follower, Gone, Store, Tx

LOG = logging.getLogger(__name__)

T = TypeVar("T")

MOST_TOGETHER = 64
"""Pieces of work that share one commit at most, so that none waits long."""

WRITING = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    # What a savepoint may have to take back: in a file it is an eighth of placing.
    "PRAGMA temp_store=MEMORY",
    # Rows go to random pages of their indexes. With SQLite's own 2 MiB of pages at hand and 4 MiB
    # of log, these are read and written several times over: together another eighth of placing.
    "PRAGMA cache_size=-16384",
    "PRAGMA wal_autocheckpoint=8192",
)
"""Settings of the connection that writes."""

READING = ("PRAGMA synchronous=FULL", "PRAGMA query_only=ON")
"""Of all others."""

MOST_IDLE = 8
"""Connections for reading that are kept at hand."""


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Tx], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.value: T
        self.error: BaseException | None = None
        self.hints: set[str] = set()
        self.followers: dict[str, Follower] = {}
        self.after: list[Callable[[], object]] = []

    def attempt(self, tx: Tx) -> None:
        try:
            self.value = self.work(tx)
            self.hints, self.followers, self.after = tx.hints, tx.followers, tx.after
        except Exception as error:
            self.error = known(error, tx.connection.dialect)
            raise

    def attempt_apart(self, connection: sa.Connection) -> None:
        """The same, so that its failure takes back nothing but its own changes."""
        tx = Tx(connection)
        try:
            with tx.apart():
                self.attempt(tx)
        except Gone:
            raise
        except Exception as error:
            self.error = self.error or known(error, connection.dialect)


class Sqlite(Store):
    """A database in a file, or in memory."""

    def __init__(self, path: Path | None, *, threaded: bool = True) -> None:
        """path None is a database in memory; threaded False writes in the caller's thread."""
        super().__init__()
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
        """A look of several statements."""
        return Reading(self, together=True)

    def glance(self) -> AbstractContextManager[sa.Connection]:
        """A look of one."""
        return Reading(self, together=False)

    def lend(self) -> sa.Connection:
        """A connection for reading."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._reader.connect()
        except sa.exc.OperationalError as error:
            raise named(Fault.AWAY, error) from None

    def begin(self, connection: sa.Connection) -> None:
        """From here on all statements see the same."""
        execute(connection, "BEGIN")

    def take_back(self, connection: sa.Connection, *, together: bool) -> None:
        """The look is over."""
        if connection.in_transaction():
            connection.rollback()
        elif together:  # SQLAlchemy saw no statement and knows of no transaction
            connection.connection.rollback()
        if self._closed or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def blame(
        self, error: BaseException, connection: sa.Connection, *, together: bool
    ) -> BaseException:
        """The look failed; closing ends its transaction."""
        connection.close()
        return known(error, connection.dialect)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Let the writer do it."""
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
        begun = time.monotonic()
        try:
            done = self._written(jobs)
        except Exception as error:  # the commit failed, or the only job did: nobody was served
            for job in jobs:
                job.error = job.error or error
        else:
            self.meter.took(metric.COMMITS, time.monotonic() - begun)
            self.meter.count(metric.JOBS, by=len(jobs))
            self._give(
                {topic for job in done for topic in job.hints},
                [work for job in done for work in job.after],
            )
        for job in jobs:
            job.done.set()

    def _written(self, jobs: list[_Job[Any]]) -> list[_Job[Any]]:
        """One transaction for all; returns what was done, with what followed."""
        try:
            with self._writer.begin() as connection:
                execute(connection, "BEGIN IMMEDIATE")
                if len(jobs) == 1:
                    jobs[0].attempt(Tx(connection))
                else:
                    for job in jobs:
                        job.attempt_apart(connection)
                return _follow([job for job in jobs if job.error is None], connection)
        except Exception as error:
            raise known(error, self._writer.dialect) from None


def _follow(jobs: list[_Job[Any]], connection: sa.Connection) -> list[_Job[Any]]:
    """Do what the jobs want at the end of the commit; returns them with what followed."""
    done = list(jobs)
    followers = {topic: work for job in jobs for topic, work in job.followers.items()}
    for topic, work in followers.items():
        job: _Job[object] = _Job(work)
        job.attempt_apart(connection)
        if job.error is not None:
            LOG.warning("%s did not follow a commit and is put off: %s", topic, job.error)
            job.hints, job.after = {topic}, []
        done.append(job)
    return done


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
        for setting in WRITING if write else READING:
            connection.execute(setting)

    return engine
