"""A database server that many processes share: MariaDB (Galera too) or PostgreSQL.

Transactions run at READ COMMITTED: rows that are read to be changed are locked, in the order
container, host, project; a conditional UPDATE is the arbiter. Who loses a deadlock, Galera's
certification or a race for a unique key is run again from its beginning.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from dolium import errors
from dolium.model import metric
from dolium.store.faults import Fault, fault, known, named, reason
from dolium.store.idle import Reading, execute
from dolium.store.store import Conflict, Store, Tx

T = TypeVar("T")

MOST_TRIES = 30
"""Of one piece of work; with the pauses between them about five seconds."""
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.4
TRUSTED_S = 1.0
"""A connection that was idle for longer is asked whether it still is one."""
CONNECT_S = 5
ANSWER_S = 30
"""A statement takes milliseconds: a server that is silent for so long is gone."""
IDLE_IN_TRANSACTION_S = 15
"""A process that was halted within a transaction must not keep its locks."""
WAIT_FOR_LOCK_S = 10
NOT_READY = 1047
"""What a Galera node says to each statement while it is cut off from the others."""


class Server(Store):
    """A database behind a socket. Safe to use from many threads."""

    def __init__(self, url: sa.URL, *, connections: int = 32) -> None:
        """connections: most of them at a time; whoever wants one more waits."""
        super().__init__()
        self._engine = engine(url)
        self._idle: deque[tuple[float, sa.Connection]] = deque()
        self._places = threading.BoundedSemaphore(connections)
        self._rng = random.Random()
        self._closed = False

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A look of several statements."""
        return Reading(self, together=True)

    def glance(self) -> AbstractContextManager[sa.Connection]:
        """A look of one."""
        return Reading(self, together=False)

    def lend(self) -> sa.Connection:
        """A connection outside of any transaction."""
        self._places.acquire()
        try:
            return self._at_hand() or self._engine.connect()
        except Exception as error:
            self._places.release()
            raise known(error, self._engine.dialect) from None

    def _at_hand(self) -> sa.Connection | None:
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < TRUSTED_S:
                return connection
            try:
                execute(connection, "SELECT 1")
            except Exception:  # whatever it is, another connection will tell
                _discard(connection)
            else:
                return connection

    def begin(self, connection: sa.Connection) -> None:
        """From here on all statements see the same."""
        execute(connection, _LOOK[connection.dialect.name])

    def take_back(self, connection: sa.Connection, *, together: bool) -> None:
        """The transaction, if there was one, is over; one that read has nothing to lose."""
        try:
            if together:
                execute(connection, "ROLLBACK")
        except Exception:  # then the server ends it with the connection
            self._drop(connection)
            return
        if self._closed:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))
        self._places.release()

    def blame(
        self, error: BaseException, connection: sa.Connection, *, together: bool
    ) -> BaseException:
        """The look failed; returns the error as callers know it."""
        if self._kind(error, connection) is None:
            self.take_back(connection, together=together)
        else:
            self._drop(connection)
        return known(error, connection.dialect)

    def _drop(self, connection: sa.Connection) -> None:
        _discard(connection)
        self._places.release()

    def write(self, work: Callable[[Tx], T]) -> T:
        """In the caller's thread."""
        if self._closed:
            raise errors.Shutdown()
        for tries in range(MOST_TRIES):
            try:
                return self._attempt(work)
            except _Again as again:
                last = again.__cause__ or again
                self.meter.count(metric.RETRIES, again.kind)
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tries)
            time.sleep(self._rng.uniform(0, pause))
        raise named(Fault.CONFLICT, last)

    def _attempt(self, work: Callable[[Tx], T]) -> T:
        connection, begun = self.lend(), time.monotonic()
        try:
            execute(connection, "BEGIN")
            tx = Tx(connection)
            value = work(tx)
        except BaseException as error:
            why = self._judged(error, connection)
            self.take_back(connection, together=True)
            raise why from error
        self._commit(connection)
        self.meter.took(metric.COMMITS, time.monotonic() - begun)
        self.meter.count(metric.JOBS)
        # Work that shares the commit on SQLite would hold its locks for longer here.
        self._give(tx.hints | tx.followers.keys(), tx.after)
        return value

    def _commit(self, connection: sa.Connection) -> None:
        try:
            cursor = connection.connection.cursor()
            cursor.execute("COMMIT")
            done = getattr(cursor, "statusmessage", "COMMIT") == "COMMIT"
            cursor.close()
        except BaseException as error:
            kind = self._kind(error, connection)
            self._drop(connection)
            if kind is Fault.CONFLICT:
                raise _Again(kind) from error
            # Lost on the way: nobody knows whether it was written, so it is not done again.
            raise known(error, connection.dialect) from error
        self.take_back(connection, together=False)
        if not done:  # PostgreSQL takes everything back when a failure before went unnoticed
            raise RuntimeError("a transaction went on after one of its statements had failed")

    def _judged(self, error: BaseException, connection: sa.Connection) -> BaseException:
        """What to raise for a failure before the commit."""
        error = reason(error, connection.dialect, self._driver(connection))
        kind = self._kind(error, connection)
        if isinstance(error, Conflict):
            return _Again(Fault.CONFLICT)
        if kind in (Fault.CONFLICT, Fault.LOST):
            return _Again(kind)
        return named(kind, error) if kind else error

    def _kind(self, error: BaseException, connection: sa.Connection) -> Fault | None:
        return fault(error, connection.dialect, self._driver(connection))

    @staticmethod
    def _driver(connection: sa.Connection) -> Any:
        """Its connection; None when that is no more."""
        gone = connection.closed or connection.invalidated
        return None if gone else connection.connection.driver_connection

    def close(self) -> None:
        """Let go of the server; who still reads ends by itself."""
        self._closed = True
        while self._idle:
            _discard(self._idle.pop()[1])  # the server may be gone already
        self._engine.dispose()


class _Again(Exception):
    """Nothing was written: try again."""

    def __init__(self, kind: Fault) -> None:
        super().__init__()
        self.kind = kind.value


def _discard(connection: sa.Connection) -> None:
    try:
        connection.invalidate()
        connection.close()
    except Exception:  # it was broken
        return


_LOOK = {
    "mariadb": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
"""How a look begins whose statements all see the same."""

_DRIVERS = {
    **dict.fromkeys(("mariadb", "mysql", "mysql+pymysql", "mariadb+pymysql"), "mariadb+pymysql"),
    **dict.fromkeys(("postgresql", "postgres", "postgresql+psycopg"), "postgresql+psycopg"),
}


def engine(url: sa.URL, answer_s: int = ANSWER_S) -> sa.Engine:
    """Connections that commit by themselves outside of BEGIN. Raises StartError.

    answer_s: how long one statement may take.
    """
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        known_ = ", ".join(sorted(set(_DRIVERS.values())))
        raise errors.StartError(
            why=f"[database] connection begins with '{url.drivername}'; Dolium knows {known_}"
        )
    try:
        made = sa.create_engine(
            url.set(drivername=driver),
            poolclass=NullPool,
            pool_reset_on_return=None,  # each transaction is ended where it began
            isolation_level="AUTOCOMMIT",
            connect_args=_ARGUMENTS[driver](answer_s),
        )
    except ModuleNotFoundError as error:
        extra = driver.partition("+")[0]
        raise errors.StartError(
            why=f"{error.name} is not installed; `pip install dolium[{extra}]` brings it"
        ) from None
    if driver == "mariadb+pymysql":  # libpq does this by itself
        sa.event.listen(made, "do_connect", _Nodes(url.host or "").connect)
    return made


class _Nodes:
    """The servers of one cluster: one that answers is as good as another."""

    def __init__(self, hosts: str) -> None:
        """hosts: with commas between; the first that answered is asked first the next time."""
        self._hosts = deque(hosts.split(","))

    def connect(self, dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> Any:
        """A connection to the first that takes statements; raises what the last one said."""
        left = len(self._hosts)
        while True:
            host, left = self._hosts[0], left - 1
            try:
                return self._open(dialect, given | ({"host": host} if host else {}))
            except dialect.loaded_dbapi.Error:
                if not left:
                    raise
            if self._hosts[0] == host:  # nobody else has gone on meanwhile
                self._hosts.rotate(-1)

    def _open(self, dialect: Any, given: dict[str, Any]) -> Any:
        connection = dialect.connect(**given)
        try:
            _mariadb_session(connection, dialect.loaded_dbapi.OperationalError)
        except BaseException:
            connection.close()
            raise
        return connection


def _mariadb_arguments(answer_s: int) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "collation": "utf8mb4_nopad_bin",  # of the columns: given values are compared with them
        "connect_timeout": CONNECT_S,
        "read_timeout": answer_s,
        "write_timeout": answer_s,
    }


def _mariadb_session(connection: Any, failure: type[Exception]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(
            "SET SESSION "
            "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
            f"idle_transaction_timeout = {IDLE_IN_TRANSACTION_S}, "
            f"innodb_lock_wait_timeout = {WAIT_FOR_LOCK_S}"
        )
        cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
        row = cursor.fetchone()
        if row and row[1] == "ON":
            cursor.execute("SHOW STATUS LIKE 'wsrep_ready'")
            if cursor.fetchone()[1] != "ON":
                raise failure(NOT_READY, "This node is not part of its cluster now")
            # Each look waits until this node has what every other one has acknowledged.
            cursor.execute("SET SESSION wsrep_sync_wait = 1")


def _postgresql_arguments(answer_s: int) -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_S,
        "options": f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s "
        f"-c lock_timeout={WAIT_FOR_LOCK_S}s -c statement_timeout={answer_s}s "
        "-c default_transaction_isolation=read\\ committed",
        "keepalives_idle": ANSWER_S,
        "tcp_user_timeout": ANSWER_S * 1000,
    }


_ARGUMENTS = {"mariadb+pymysql": _mariadb_arguments, "postgresql+psycopg": _postgresql_arguments}
