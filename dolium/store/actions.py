"""The journal of asked changes: written with the wish, closed with a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from dolium.model import reading, record
from dolium.model.container import Verb
from dolium.model.context import Context
from dolium.model.wish import Command
from dolium.store.plain import Among, Plain
from dolium.store.schema import actions as table
from dolium.store.store import Tx

FAILED = "Error"
"""What the API shows as the message of an action that failed."""


_INSERT = Plain(
    table.insert(),
    (
        *("container_uuid", "request_id", "generation", "verb", "params", "user_id"),
        *("project_id", "open", "ok", "start_time", "finish_time", "events"),
    ),
)


def add(
    tx: Tx,
    context: Context,
    *,
    container_uuid: str,
    project_id: str,
    generation: int,
    verb: Verb,
    params: dict[str, Any],
    at: float,
    open: bool = True,
) -> None:
    """Write an asked change down; `open=False` for one that needed nothing but this write."""
    tx.plain(
        _INSERT,
        {
            "container_uuid": container_uuid,
            "request_id": context.request_id,
            "generation": generation,
            "verb": verb.value,
            "params": msgspec.json.encode(params),
            "user_id": context.user_id,
            "project_id": project_id,
            "open": open,
            "ok": None if open else True,
            "start_time": at,
            "finish_time": None if open else at,
            "events": b"[]",
        },
    )


_OPEN = Among(
    table.c.container_uuid,
    lambda those: (
        sa.select(
            table.c.container_uuid,
            table.c.id,
            table.c.request_id,
            table.c.generation,
            table.c.verb,
            table.c.params,
        )
        .where(those, table.c.open)
        .order_by(table.c.generation)
    ),
)
_CLOSE = Plain(
    table.update()
    .where(table.c.id == sa.bindparam("number"), table.c.open)
    .values(
        open=False,
        ok=sa.bindparam("ok"),
        message=sa.bindparam("message"),
        finish_time=sa.bindparam("finish_time"),
        events=sa.bindparam("events"),
    )
)
_CLOSE_ALL = Plain(
    table.update()
    .where(table.c.container_uuid == sa.bindparam("container"), table.c.open)
    .values(
        open=False,
        ok=False,
        message=sa.bindparam("message"),
        finish_time=sa.bindparam("finish_time"),
    )
)


def opened(connection: sa.Connection, uuids: Sequence[str]) -> dict[str, list[Command]]:
    """The open actions of containers, oldest first."""
    found: dict[str, list[Command]] = {}
    for uuid, *row in _OPEN.run(connection, uuids):
        found.setdefault(uuid, []).append(_command(*row))
    return found


_REQUESTED = Plain(
    sa.select(table.c.container_uuid, table.c.request_id).where(
        table.c.container_uuid == sa.bindparam("container"), table.c.open
    )
)


def requests(connection: sa.Connection, uuids: Sequence[str]) -> dict[str, str]:
    """For which requests containers are worked on now, by their ids."""
    if len(uuids) == 1:
        return dict(_REQUESTED.run(connection, {"container": uuids[0]}).fetchall())
    some = sa.select(table.c.container_uuid, table.c.request_id).where(
        table.c.container_uuid.in_(uuids), table.c.open
    )
    return dict(map(tuple, connection.execute(some)))


def _command(number: int, request_id: str, generation: int, verb: str, params: bytes) -> Command:
    return Command(
        id=number,
        request_id=request_id,
        generation=generation,
        verb=Verb(verb),
        params=msgspec.json.decode(params),
    )


def close(
    tx: Tx,
    number: int,
    *,
    ok: bool,
    message: str | None,
    at: float,
    events: tuple[record.Moment, ...] = (),
) -> bool:
    """Close an open action; True for the one who really did."""
    done = tx.plain(
        _CLOSE,
        {
            "number": number,
            "ok": ok,
            "message": message,
            "finish_time": at,
            "events": msgspec.json.encode(events),
        },
    )
    return bool(done.rowcount == 1)


def hand_over(tx: Tx, number: int) -> bool:
    """The host has done its part of an open action, which is not over; True for who did this."""
    query = table.update().where(table.c.id == number, table.c.open).values(open=False)
    return tx.run(query).rowcount == 1


def conclude(tx: Tx, container_uuid: str, generation: int, *, why: str | None, at: float) -> None:
    """End one that was handed over, with its one event; why: it failed."""
    its = (table.c.container_uuid == container_uuid, table.c.generation == generation)
    query = sa.select(table.c.id, table.c.verb, table.c.start_time).where(
        *its, table.c.finish_time.is_(None), sa.not_(table.c.open)
    )
    for row in tx.run(query):
        moment = record.Moment(
            event=event(Verb(row.verb)),
            start_time=row.start_time,
            finish_time=at,
            result="Success" if why is None else "Error",
            traceback=why,
        )
        values = {
            "ok": why is None,
            "message": None if why is None else FAILED,
            "finish_time": at,
            "events": msgspec.json.encode([moment]),
        }
        tx.run(table.update().where(table.c.id == row.id).values(values))


_OF = {Verb.NETWORK_ATTACH: "", Verb.NETWORK_DETACH: ""}
"""What stands before the verb in the name of its event; `container_` for the others."""


def event(verb: Verb) -> str:
    """The name of the event that a host's work is."""
    return f"compute__do_{_OF.get(verb, 'container_')}{verb.value}"


def close_all(tx: Tx, container_uuid: str, *, message: str, at: float) -> None:
    """Close every open action of a container as not done."""
    tx.plain(_CLOSE_ALL, {"container": container_uuid, "message": message, "finish_time": at})


_READ = tuple(table.c[name] for name in record.Action.__struct_fields__ if name != "events")


def of_container(
    connection: sa.Connection, container_uuid: str, request_id: str | None = None
) -> list[record.Action]:
    """A container's actions, newest first; one request's only when asked."""
    query = (
        sa.select(table.c.events, *_READ)
        .where(table.c.container_uuid == container_uuid)
        .order_by(table.c.id.desc())
    )
    if request_id is not None:
        query = query.where(table.c.request_id == request_id)
    decode = reading.reader(tuple[record.Moment, ...])
    return [
        record.Action(
            **{**row._mapping, "events": decode(row.events)},
        )
        for row in connection.execute(query)
    ]


def trim(tx: Tx, before: float, most: int = 1000) -> int:
    """Forget closed actions that ended before; returns how many."""
    old = [
        row[0]
        for row in tx.run(
            sa.select(table.c.id)
            .where(sa.not_(table.c.open), table.c.finish_time < before)
            .limit(most)
        )
    ]
    if old:
        tx.run(table.delete().where(table.c.id.in_(old)))
    return len(old)
