"""The database as all roles see it: short looks, and pieces of work that are written as a whole.

`sqlite` is one file with one writer, `server` is MariaDB or PostgreSQL with many; `connect`
chooses. What differs between them stays in those files: statements, and those who run them, are
the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from dolium.model.metric import Meter
from dolium.store.hints import Hints
from dolium.store.plain import Bulk, Plain

T = TypeVar("T")

Connection = sa.Connection
"""What statements run on; other layers pass it on and never look inside."""


class Conflict(Exception):
    """Somebody else changed what this transaction relied on: all of it is to be done again."""


class Tx:
    """One writing transaction, what follows on it, and whom to wake once it is durable."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.hints: set[str] = set()
        self.followers: dict[str, Follower] = {}
        self.after: list[Callable[[], object]] = []
        self._depth = 0

    def run(self, statement: sa.Executable, rows: Any = None) -> sa.CursorResult[Any]:
        """Execute; a list of rows is an executemany."""
        return self.connection.execute(statement, rows)

    def plain(self, statement: Plain, values: dict[str, Any]) -> Any:
        """Execute on the hot path; returns the driver's cursor."""
        return statement.run(self.connection, values)

    def bulk(self, statement: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute for each of at least one row, at once where that is quicker; returns rows
        touched. A row is a tuple in the order of the statement's columns.
        """
        return statement.run(self.connection, rows)

    def fill(self, statement: Plain, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert at least one row, each a tuple in the order of the statement's columns."""
        statement.fill(self.connection, rows)

    def hint(self, topic: str) -> None:
        """Wake whoever waits for the topic, after the commit."""
        self.hints.add(topic)

    def follow(self, topic: str, work: Follower) -> None:
        """Do `work` at the end of this commit, once for all who share it.

        If it fails, or the database can't, it takes back only its own changes, and the topic is
        hinted at instead.
        """
        self.followers[topic] = work

    def then(self, work: Callable[[], object]) -> None:
        """After the commit, once: tell or count what was done. Must be quick and never raise."""
        self.after.append(work)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """For `with`: an exception takes back what was done in here, and nothing else."""
        name = f"apart_{self._depth}"
        self._depth += 1
        # Straight to the driver: what SQLAlchemy does for a savepoint takes ten times as long.
        cursor = self.connection.connection.cursor()
        cursor.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException as error:
            try:
                cursor.execute(f"ROLLBACK TO SAVEPOINT {name}")
            except Exception as refused:  # a full disk, a deadlock: all of it is gone
                raise Gone(error, refused) from error
            cursor.execute(f"RELEASE SAVEPOINT {name}")
            raise
        else:
            cursor.execute(f"RELEASE SAVEPOINT {name}")
        finally:
            self._depth -= 1
            cursor.close()


class Gone(Exception):
    """The database took back all of a transaction."""

    def __init__(self, error: BaseException, refused: Exception) -> None:
        """error: what was to take back a part of it; refused: why that could not be done."""
        super().__init__()
        self.error = error
        self.refused = refused


Follower = Callable[[Tx], object]


class Store(ABC):
    """Reads and writes of all roles of this process."""

    def __init__(self) -> None:
        self.hints = Hints()
        self.meter = Meter()
        """Counts commits; who opens the store may put the process's own in its place."""

    @abstractmethod
    def read(self) -> AbstractContextManager[sa.Connection]:
        """A short look: all statements see the same, which is all that was committed before."""

    @abstractmethod
    def glance(self) -> AbstractContextManager[sa.Connection]:
        """A look of one statement, which needs no transaction of its own."""

    @abstractmethod
    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction of its own; returns after the commit is durable.

        Whatever `work` raises takes back its own changes only. `work` must be quick and touch
        nothing but the transaction: it may share its commit with others, and it may be run
        again from its beginning.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what was handed in, then let go of the database."""

    def _give(self, hints: Collection[str], after: Iterable[Callable[[], object]]) -> None:
        """What was hinted at, and is to be told, is durable now."""
        for work in after:
            work()
        for topic in hints:
            self.hints.give(topic)
