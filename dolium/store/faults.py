"""What an error of a database driver means for who asked.

Statements of the hot path go straight to the driver (see `plain`), so errors come in the driver's
own classes as well as in SQLAlchemy's.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from dolium import errors
from dolium.store.store import Gone

if TYPE_CHECKING:
    import sqlalchemy as sa


class Fault(Enum):
    """Kinds of failure."""

    CONFLICT = "conflict"
    """Others were in the way; nothing was written, and all of it is worth another try."""
    LOST = "lost"
    """The connection is no more."""
    FULL = "full"
    AWAY = "away"
    """The database can't now."""


_MARIADB = {
    1020: Fault.CONFLICT,  # the row has changed since it was read
    1062: Fault.CONFLICT,  # somebody else was first with this key
    1205: Fault.CONFLICT,  # waited too long for a lock
    1213: Fault.CONFLICT,  # deadlock, or Galera's other nodes refuse the write set
    1317: Fault.CONFLICT,  # Galera ended the statement in favour of another node's
    1021: Fault.FULL,
    1114: Fault.FULL,
    1047: Fault.LOST,  # a Galera node that is not in sync: another one may be
    1053: Fault.LOST,  # it shuts down
    1290: Fault.LOST,  # it only reads now: it was demoted
    1927: Fault.LOST,  # the connection was killed
    4031: Fault.LOST,  # ended because it had been idle
}
"""Error numbers of the server (mariadb.com/kb/en/mariadb-error-code-reference)."""

_POSTGRESQL = {
    "23505": Fault.CONFLICT,  # somebody else was first with this key
    "25006": Fault.LOST,  # it only reads now: it was demoted
    "25P03": Fault.LOST,  # ended because it had been idle within a transaction
    "40001": Fault.CONFLICT,
    "40P01": Fault.CONFLICT,  # deadlock
    "55P03": Fault.CONFLICT,  # waited too long for a lock
    "53100": Fault.FULL,
    "57P01": Fault.LOST,
    "57P02": Fault.LOST,
    "57P03": Fault.LOST,
}
"""SQLSTATEs (postgresql.org/docs, Appendix A)."""


def fault(error: BaseException, dialect: sa.Dialect, connection: Any = None) -> Fault | None:
    """The kind of a failure; None when it is not the database's, or a bug of ours."""
    cause: Any = getattr(error, "orig", error)
    driver: Any = dialect.loaded_dbapi
    if not isinstance(cause, driver.Error):
        return None
    known = _POSTGRESQL.get(getattr(cause, "sqlstate", None) or "")
    if known is None and cause.args and isinstance(cause.args[0], int):
        known = _MARIADB.get(cause.args[0])
    if known is not None:
        return known
    if dialect.is_disconnect(cause, connection, None):
        return Fault.LOST
    if isinstance(cause, driver.OperationalError | driver.InterfaceError):
        return Fault.FULL if "full" in str(cause) else Fault.AWAY
    return None


def reason(error: BaseException, dialect: sa.Dialect, connection: Any = None) -> BaseException:
    """Why the database took back all of a transaction; any other error is its own reason.

    That is what its work failed with, if the database had part in it (a full disk); else the work
    only wanted to take back a part, and was refused that (the connection is lost).
    """
    if not isinstance(error, Gone):
        return error
    beneath = reason(error.error, dialect, connection)
    return beneath if fault(beneath, dialect, connection) else error.refused


def named(kind: Fault, error: BaseException) -> errors.Error:
    """The failure as users and logs read it."""
    cause: Any = getattr(error, "orig", error)
    # MariaDB's errors are (number, text); PostgreSQL's texts have more lines than people need.
    text = str(cause.args[-1] if getattr(cause, "args", None) else cause)
    why = text.strip().partition("\n")[0] or type(cause).__name__
    made = errors.Full if kind is Fault.FULL else errors.Unanswered
    return made(what="The database", why=why)


def known(error: BaseException, dialect: sa.Dialect) -> BaseException:
    """The error as callers know it; a bug of ours stays what it is."""
    gone = isinstance(error, Gone)
    error = reason(error, dialect)
    kind = fault(error, dialect)
    if kind is not None:
        return named(kind, error)
    if gone and not isinstance(error, errors.Full):
        return errors.Unanswered(what="The database", why=f"it took everything back: {error}")
    return error
