"""Statements of the hot path: made into text once, then handed to the driver as they are.

What SQLAlchemy does at each execution costs more than SQLite needs for the work itself (60 of
75 us for one row, measured), and as much again for each row of an executemany.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

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

    def fill(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert at least one row, each a tuple in the order of the columns."""
        text, cursor = self._text(connection.dialect), connection.connection.cursor()
        if connection.dialect.name == "postgresql":  # its driver would send each row by itself
            with cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)
        elif text.names is None:
            before, one, names = _pieces(text.text)
            each = [self._columns.index(name) for name in names] if self._columns else []
            values = [row[at] for row in rows for at in each]
            cursor.execute(before + ", ".join([one] * len(rows)), values)
        elif text.names == self._columns:
            cursor.executemany(text.text, rows)
        else:  # this database wants another order
            columns = self._columns or []
            named = (dict(zip(columns, row, strict=True)) for row in rows)
            cursor.executemany(text.text, list(map(text.order, named)))

    @cached_property
    def _copy(self) -> str:
        """How PostgreSQL takes many rows: in half the time of one INSERT with all of them."""
        table: Any = self._statement.table  # type: ignore[attr-defined]
        return f"COPY {table.name} ({', '.join(self._columns or ())}) FROM STDIN"

    def _text(self, dialect: sa.Dialect) -> _Text:
        known = self._texts.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
            known = self._texts[dialect.name] = _Text(
                str(compiled), compiled.positiontup, _order(compiled)
            )
        return known


_NAMED = re.compile(r"%\((\w+)\)s")


@lru_cache(maxsize=64)
def _pieces(insert: str) -> tuple[str, str, list[str]]:
    """What comes before the values, one row of values by place, and the names of the places."""
    before, word, values = insert.partition(" VALUES ")
    return before + word, _NAMED.sub("%s", values), _NAMED.findall(values)


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


def _literal(statement: sa.ClauseElement, dialect: sa.Dialect) -> str:
    """The text of a statement, its constants written out."""
    written = {"literal_binds": True, "render_postcompile": True}
    return str(statement.compile(dialect=dialect, compile_kwargs=written))


_ROWS = "THE_GIVEN_ROWS"
"""Stands in a statement's text where the given rows come."""


class Bulk:
    """An UPDATE for each of many given rows. Safe to use from many threads.

    SQLite runs it row by row; a server gets all rows in one statement, as a round trip for each
    would take longer than the work (MariaDB: 60 of 75 us).
    """

    def __init__(
        self,
        columns: Mapping[str, type[sa.types.TypeEngine[Any]]],
        make: Callable[[Any], sa.Update],
    ) -> None:
        """columns: of the given rows. make: the statement, from what has them as attributes."""
        self._names = list(columns)
        # SQLite finds values by their number, so that a row is what its driver wants.
        numbered = enumerate(columns.items(), 1)
        each = {name: sa.literal_column(f"?{at}", kind()) for at, (name, kind) in numbered}
        self._each = make(SimpleNamespace(**each))
        typed = [sa.column(name, kind()) for name, kind in columns.items()]
        given = sa.text(_ROWS).columns(*typed).subquery("given")
        self._together = make(given.c)
        self._kinds = [kind() for kind in columns.values()]
        self._texts: dict[str, _Together] = {}

    def run(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute for at least one row, each a tuple in the order of the columns; returns rows
        touched.
        """
        dialect, cursor = connection.dialect, connection.connection.cursor()
        if dialect.name == "sqlite":
            cursor.executemany(self._one, rows)
            return int(cursor.rowcount)
        text = self._texts.get(dialect.name) or self._compiled(dialect)
        if text.other is None:
            cursor.execute(text.begin + text.end, list(map(list, zip(*rows, strict=True))))
        else:
            values = list(chain.from_iterable(rows))
            cursor.execute(text.begin + text.other * (len(rows) - 1) + text.end, values)
        return int(cursor.rowcount)

    @cached_property
    def _one(self) -> str:
        """The statement for one row, as SQLite reads it."""
        return _literal(self._each, sqlite.dialect())

    def _compiled(self, dialect: sa.Dialect) -> _Together:
        before, _, after = _literal(self._together, dialect).partition(_ROWS)
        other = None
        if dialect.name == "postgresql":  # a list for each column: the text is always the same
            lists = ", ".join(f"CAST(%s AS {kind.compile(dialect)}[])" for kind in self._kinds)
            begin = f"SELECT * FROM unnest({lists})"  # noqa: S608  (our own names)
            after = f" AS listed({', '.join(self._names)}){after}"
        else:
            begin = f"SELECT {', '.join(f'%s AS {name}' for name in self._names)}"
            other = f" UNION ALL SELECT {', '.join(['%s'] * len(self._names))}"
        made = self._texts[dialect.name] = _Together(before + begin, other, after)
        return made


class Among:
    """A SELECT for each of many given keys, many in one statement. Safe to use from many threads.

    Rows come in the order that the statement asks for, up to MOST_KEYS keys.
    """

    def __init__(
        self, key: sa.Column[Any], make: Callable[[sa.ColumnElement[bool]], sa.Select[Any]]
    ) -> None:
        """make: the statement, from the condition that picks its rows."""
        self._each = Plain(make(key == sa.bindparam("key")))
        self._together = make(key.op("IN")(sa.literal_column(f"({_ROWS})")))
        self._kind = key.type
        self._texts: dict[str, tuple[str, str]] = {}

    def run(self, connection: sa.Connection, keys: Sequence[str]) -> Iterator[Any]:
        """The rows of these keys; each key counts once."""
        dialect = connection.dialect
        if len(keys) == 1:
            yield from self._each.run(connection, {"key": keys[0]}).fetchall()
            return
        before, after = self._texts.get(dialect.name) or self._compiled(dialect)
        cursor = connection.connection.cursor()
        for first in range(0, len(keys), MOST_KEYS):
            listed, values = self._list(dialect, list(keys[first : first + MOST_KEYS]))
            cursor.execute(before + listed + after, values)
            yield from cursor.fetchall()

    def _list(self, dialect: sa.Dialect, keys: list[str]) -> tuple[str, list[Any]]:
        if dialect.name == "postgresql":  # the text is always the same, and prepared once
            return f"SELECT unnest(CAST(%s AS {self._kind.compile(dialect)}[]))", [keys]
        # SQLite's json_each would do as much, and crashes 3.40 after a change of the schema.
        mark = "?" if dialect.name == "sqlite" else "%s"
        return ", ".join([mark] * len(keys)), keys

    def _compiled(self, dialect: sa.Dialect) -> tuple[str, str]:
        before, _, after = _literal(self._together, dialect).partition(_ROWS)
        self._texts[dialect.name] = before, after
        return before, after


MOST_KEYS = 500
"""Of one statement."""


class _Together(NamedTuple):
    """A statement over many given rows: up to the first row, each other one, the rest."""

    begin: str
    other: str | None
    """None: it takes a list for each column."""
    end: str
