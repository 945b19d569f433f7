"""Statements of the hot path: made into text once, then handed to the driver as they are.

What SQLAlchemy does at each execution costs more than SQLite needs for the work itself (60 of
75 us for one row, measured), and as much again for each row of an executemany.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlalchemy as sa

Values = dict[str, Any]


class _Text(NamedTuple):
    """A statement as one kind of database reads it."""

    text: str
    names: list[str] | None
    """What the driver wants, in its order; None: by name."""
    order: Callable[[Values], Any]
    """From values by name to what the driver wants."""


class Plain:
    """One statement; safe to use from many threads."""

    def __init__(self, statement: sa.ClauseElement, columns: Sequence[str] = ()) -> None:
        """columns: those that an insert or update gets its values for."""
        self._statement = statement
        self._columns = list(columns) or None
        self._texts: dict[str, _Text] = {}

    def run(self, connection: sa.Connection, values: Values) -> Any:
        """Execute with values by name; returns the driver's cursor. Types are the driver's own."""
        text, cursor = self._text(connection.dialect), connection.connection.cursor()
        cursor.execute(text.text, text.order(values))
        return cursor

    def many(self, connection: sa.Connection, rows: Sequence[Values]) -> int:
        """Execute for each of at least one row; returns rows touched."""
        text, cursor = self._text(connection.dialect), connection.connection.cursor()
        cursor.executemany(text.text, list(map(text.order, rows)))
        return int(cursor.rowcount)

    def fill(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert at least one row, each a tuple in the order of the columns."""
        text, cursor = self._text(connection.dialect), connection.connection.cursor()
        if text.names == self._columns:
            cursor.executemany(text.text, rows)
        else:  # this database wants another order, or names
            columns = self._columns or []
            named = (dict(zip(columns, row, strict=True)) for row in rows)
            cursor.executemany(text.text, list(map(text.order, named)))

    def _text(self, dialect: sa.Dialect) -> _Text:
        known = self._texts.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
            known = self._texts[dialect.name] = _Text(
                str(compiled), compiled.positiontup, _order(compiled)
            )
        return known


def _order(compiled: Any) -> Callable[[Values], Any]:
    names: list[str] | None = compiled.positiontup
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    if names is None:  # the driver reads values by name
        return lambda values: fixed | values
    if not names:
        return lambda values: ()
    if len(names) == 1:
        only = names[0]
        return lambda values: ((fixed | values)[only],)
    pick = itemgetter(*names)
    return (lambda values: pick(fixed | values)) if fixed else pick
