"""The two kinds of look at a database, for every kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import sqlalchemy as sa


class Lender(Protocol):
    """A store that has connections to lend."""

    def lend(self) -> sa.Connection:
        """A connection for reading."""
        ...

    def begin(self, connection: sa.Connection) -> None:
        """From here on all statements see the same."""
        ...

    def take_back(self, connection: sa.Connection, *, together: bool) -> None:
        """The look is over; together: `begin` began it."""
        ...

    def blame(
        self, error: BaseException, connection: sa.Connection, *, together: bool
    ) -> BaseException:
        """The look failed; returns the error as callers know it."""
        ...


def execute(connection: sa.Connection, text: str) -> None:
    """Hand a statement without values or rows straight to the driver.

    An event listener and a statement of SQLAlchemy's own would cost a short read 90 us.
    """
    cursor = connection.connection.cursor()
    cursor.execute(text)
    cursor.close()


class Reading:
    """For `with`: a connection for reading. A class, as a generator costs a short read a tenth."""

    __slots__ = ("_connection", "_lender", "_together")

    def __init__(self, lender: Lender, *, together: bool) -> None:
        self._lender = lender
        self._together = together

    def __enter__(self) -> sa.Connection:
        self._connection = connection = self._lender.lend()
        if self._together:
            try:
                self._lender.begin(connection)
            except Exception as error:
                raise self._lender.blame(error, connection, together=True) from None
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if error is None:
            self._lender.take_back(self._connection, together=self._together)
            return
        told = self._lender.blame(error, self._connection, together=self._together)
        if told is not error:
            raise told from None
