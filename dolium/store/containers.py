"""Rows of containers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from dolium import errors
from dolium.model import record
from dolium.model.capsule import Part
from dolium.store.plain import Among, Bulk, Plain
from dolium.store.schema import containers as table
from dolium.store.schema import hosts, tombstones
from dolium.store.store import Tx

# Written out, because a bound value of a statement that hardly changes costs more than it saves.
_WAITING: sa.ColumnClause[str] = sa.literal_column("'waiting'")
_ASKING: sa.ColumnClause[str] = sa.literal_column("'asking'")
_READY: sa.ColumnClause[str] = sa.literal_column("'ready'")
_GATHERING: sa.ColumnClause[str] = sa.literal_column("'gathers'")

GATHERING = "gathers"
"""The stage of a sandbox that waits for a host. Placers of older versions, which know nothing of
those who go along with it, leave it alone.
"""

_WAITS = table.c.stage.in_([_WAITING, _GATHERING])

_READ = tuple(table.c[name] for name in record.Container.__struct_fields__)

FILTERS = frozenset(
    [
        *("name", "image", "project_id", "user_id", "memory"),
        *("host", "task_state", "status", "auto_remove"),
    ]
)
"""Columns a list may be narrowed by."""

SORTS = FILTERS | {"id", "uuid", "created_at", "updated_at", "started_at"}
"""Columns a list may be sorted by."""


def _rows(found: Iterable[Any]) -> list[record.Container]:
    make: Any = record.Container
    return [make(*row) for row in found]


_GET = Plain(sa.select(*_READ).where(table.c.uuid == sa.bindparam("uuid_")))


def get(connection: sa.Connection, uuid: str) -> record.Container | None:
    """One by its id."""
    row = _GET.run(connection, {"uuid_": uuid}).fetchone()
    return record.Container(*row) if row else None


_SANDBOX = table.c.uuid == table.c.capsule_id
NO_SANDBOX = table.c.part.is_distinct_from(sa.literal_column(f"'{Part.SANDBOX}'"))
"""What users see: a capsule's sandbox is no container to them."""


def named(connection: sa.Connection, name: str, project_id: str | None) -> list[record.Container]:
    """Those of a name, but no capsules: of one project, or (None) of all."""
    query = sa.select(*_READ).where(table.c.name == name, NO_SANDBOX).limit(2)
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    return _rows(connection.execute(query))


def page(
    connection: sa.Connection,
    query: record.Query,
    project_id: str | None,
    *,
    capsules: bool = False,
) -> list[record.Container]:
    """One page of a list; project_id None is all projects. capsules: their sandboxes, instead of
    containers that belong to none.
    """
    if query.sort_key not in SORTS:
        raise errors.InvalidValue(why=f"The sort_key value '{query.sort_key}' is invalid.")
    down = query.sort_dir == "desc"
    of_project, names = project_id is not None, (*query.filters,)
    statement, plain = _listing(of_project, names, query.sort_key, down, capsules)
    values = {f"{name}_": value for name, value in query.filters.items()}
    values |= {"limit_": query.limit}
    if project_id is not None:
        values["project_"] = project_id
    if query.marker is None:
        return _rows(plain.run(connection, values).fetchall())
    after = _after(connection, query.marker, table.c[query.sort_key], down, project_id)
    return _rows(connection.execute(statement.where(after), values))


@lru_cache(maxsize=64)
def _listing(
    of_project: bool, filters: tuple[str, ...], sort_key: str, down: bool, capsules: bool
) -> tuple[sa.Select[tuple[Any, ...]], Plain]:
    """The statement of one kind of list: making it costs more than reading a page."""
    statement = sa.select(*_READ).limit(sa.bindparam("limit_"))
    statement = statement.where(_SANDBOX if capsules else table.c.capsule_id.is_(None))
    if of_project:
        statement = statement.where(table.c.project_id == sa.bindparam("project_"))
    for name in filters:
        statement = statement.where(table.c[name] == sa.bindparam(f"{name}_"))
    key = table.c[sort_key]
    order: list[sa.ColumnElement[Any]] = [key] if sort_key == "id" else [key, table.c.id]
    if key.nullable:  # databases differ in where they put empty values: first, say we
        order.insert(0, key.is_not(None))
    statement = statement.order_by(*(c.desc() if down else c.asc() for c in order))
    return statement, Plain(statement)


def _after(
    connection: sa.Connection,
    marker: str,
    key: sa.Column[Any],
    down: bool,
    project_id: str | None,
) -> sa.ColumnElement[bool]:
    """What comes behind the marker, with empty values first."""
    query = sa.select(key, table.c.id).where(table.c.uuid == marker)
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    found = connection.execute(query).first()
    if found is None:
        raise errors.NotFound(kind="Container", id=marker)
    value, number = found
    later = table.c.id < number if down else table.c.id > number
    if value is None:
        return sa.and_(key.is_(None), later) if down else sa.or_(key.is_not(None), later)
    beyond = sa.or_(key < value, key.is_(None)) if down else key > value
    return sa.or_(beyond, sa.and_(key == value, later))


@lru_cache(maxsize=16)
def _insert(names: tuple[str, ...]) -> Plain:
    return Plain(table.insert().returning(table.c.id), names)


def insert(tx: Tx, values: dict[str, Any]) -> record.Container:
    """A new row, handed back as it would be read."""
    ((number,),) = tx.plain(_insert(tuple(values)), values).fetchall()
    known = values | {"id": number}
    row: list[Any] = [known.get(name) for name in record.Container.__struct_fields__]
    return record.Container(*row)


@lru_cache(maxsize=256)
def _update(names: tuple[str, ...], *, compared: bool) -> Plain:
    """The statement that writes these columns; building one costs more than running it."""
    statement = table.update().where(table.c.uuid == sa.bindparam("uuid_"))
    if compared:
        statement = statement.where(table.c.generation == sa.bindparam("generation_"))
    return Plain(statement.values({name: sa.bindparam(name) for name in names}))


def change(tx: Tx, uuid: str, generation: int, values: dict[str, Any]) -> None:
    """Write what a wish changes; raises Changed unless the row still has the generation."""
    statement = _update(tuple(sorted(values)), compared=True)
    done = tx.plain(statement, values | {"uuid_": uuid, "generation_": generation})
    if done.rowcount != 1:
        raise errors.Changed(kind="Container", id=uuid)


def observe(tx: Tx, uuid: str, values: dict[str, Any]) -> None:
    """Write what was seen; the caller compared the fact's counters in this transaction."""
    observe_all(tx, {uuid: values})


def observe_all(tx: Tx, seen: Mapping[str, dict[str, Any]]) -> None:
    """The same for many; those of whom the same columns change are written together."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for uuid, values in seen.items():
        alike[tuple(sorted(values))].append(uuid)
    for names, uuids in alike.items():
        if len(uuids) == 1:
            (uuid,) = uuids
            tx.plain(_update(names, compared=False), seen[uuid] | {"uuid_": uuid})
        else:
            rows = [(uuid, *(seen[uuid][name] for name in names)) for uuid in uuids]
            tx.bulk(_observe(names), rows)


@lru_cache(maxsize=256)
def _observe(names: tuple[str, ...]) -> Bulk:
    columns: dict[str, type[sa.types.TypeEngine[Any]]] = {"uuid_": sa.String}
    return Bulk(
        columns | {name: type(table.c[name].type) for name in names},
        lambda given: (
            table.update()
            .where(table.c.uuid == given.uuid_)
            .values({name: getattr(given, name) for name in names})
        ),
    )


Place = tuple[int, str, bytes, str]
"""What a waiting container gets: its number, the host, addresses and why there."""


def place(tx: Tx, placed: Sequence[Place], *, asks: bool = False) -> None:
    """Give waiting containers to hosts, after these were claimed: each is told with the host's
    revision as of then. asks: the hosts see them only once Placement has agreed.
    """
    if tx.bulk(_PLACE_ASKING if asks else _PLACE, placed) != len(placed):
        raise errors.Changed(kind="Container", id="that waited for a host")


def _placing(stage: sa.ColumnClause[str]) -> Bulk:
    return Bulk(
        {
            "id_": sa.BigInteger,
            "host": sa.String,
            "addresses": sa.LargeBinary,
            "placed_reason": sa.Text,
        },
        lambda given: (
            table.update()
            .where(table.c.id == given.id_, _WAITS)
            .values(
                host=given.host,
                stage=stage,
                revision=sa.select(hosts.c.revision)
                .where(hosts.c.name == given.host)
                .scalar_subquery(),
                addresses=given.addresses,
                placed_reason=given.placed_reason,
            )
        ),
    )


_PLACE = _placing(_READY)
_PLACE_ASKING = _placing(_ASKING)


def give_up(tx: Tx, number: int, status: str, why: str, at: float) -> bool:
    """No host fits a waiting container; False when it waits no longer."""
    values = {"id_": number, "status_": status, "why": why, "at_": at}
    return bool(tx.plain(_GIVE_UP, values).rowcount == 1)


_GIVE_UP = Plain(
    table.update()
    .where(table.c.id == sa.bindparam("id_"), _WAITS)
    .values(
        stage=sa.literal_column("'nowhere'"),
        status=sa.bindparam("status_"),
        status_reason=sa.bindparam("why"),
        task_state=sa.null(),
        updated_at=sa.bindparam("at_"),
    )
)


class Observed(record.Container, frozen=True, gc=False):
    """A row with what reconciliation needs besides."""

    spec: bytes
    """The whole wish (model.container.Spec) as JSON."""
    wanted: str
    stage: str
    created_generation: int
    start_epoch: int
    observed_generation: int
    fact_epoch: int
    fact_sequence: int
    auto_remove: bool


_OBSERVED = tuple(table.c[name] for name in Observed.__struct_fields__)


_OF_IDS = Among(table.c.uuid, sa.select(*_OBSERVED).where)
_HOLD = Among(
    table.c.uuid,
    lambda those: (
        sa.select(*_OBSERVED)
        # Rows are locked in the order in which they are met.
        .with_hint(table, "FORCE INDEX (uuid)", "mariadb")
        .where(those)
        .order_by(table.c.uuid)
        .with_for_update()
    ),
)
_OF_HOST = Plain(
    sa.select(*_OBSERVED)
    .where(
        table.c.host == sa.bindparam("host_"),
        table.c.revision > sa.bindparam("since"),
        table.c.stage == _READY,
    )
    .order_by(table.c.revision, table.c.id)
)


def observed(connection: sa.Connection, uuids: Sequence[str]) -> dict[str, Observed]:
    """Those of the ids that exist."""
    return {row.uuid: row for row in (Observed(*each) for each in _OF_IDS.run(connection, uuids))}


def hold(tx: Tx, uuids: Iterable[str]) -> dict[str, Observed]:
    """Those of the ids that exist; nobody else changes them before this transaction ends.

    Held in the order of ids, so that two never wait for each other in a circle.
    """
    found = _HOLD.run(tx.connection, sorted(uuids))
    return {row.uuid: row for row in (Observed(*each) for each in found)}


def of_host(connection: sa.Connection, host: str, since: int) -> list[Observed]:
    """A host's containers that changed after a revision, those ready for it only."""
    rows = _OF_HOST.run(connection, {"host_": host, "since": since}).fetchall()
    return [Observed(*row) for row in rows]


def on_host(connection: sa.Connection, host: str) -> list[str]:
    """Ids of all containers of a host."""
    rows = connection.execute(sa.select(table.c.uuid).where(table.c.host == host))
    return [row[0] for row in rows]


def hosts_of(
    connection: sa.Connection, project_id: str, uuids: Iterable[str]
) -> dict[str, str | None]:
    """Where containers of a project are; those that are gone are left out."""
    rows = connection.execute(
        sa.select(table.c.uuid, table.c.host).where(
            table.c.project_id == project_id, table.c.uuid.in_(list(uuids))
        )
    )
    return {row[0]: row[1] for row in rows}


Wait = tuple[int, str, str, int, int, int, bytes, int, str | None, int | None]
"""A container that needs a host: number, uuid, project, amounts (milli-CPU, MiB, GiB), spec, how
many claims of it have ended, capsule and group.
"""


def waiting(connection: sa.Connection, limit: int) -> list[Wait]:
    """Those that need a host, oldest first, but none that another placer is at.

    In a writing transaction they are held until it ends.
    """
    found: list[Wait] = _WAIT.run(connection, {"limit_": limit}).fetchall()
    return found


def any_waits(connection: sa.Connection) -> bool:
    """Whether one needs a host."""
    return _ANY_WAITS.run(connection, {}).fetchone() is not None


_WAIT = Plain(
    sa.select(
        table.c.id,
        table.c.uuid,
        table.c.project_id,
        table.c.cpu_m,
        table.c.memory_mib,
        table.c.disk_gib,
        table.c.spec,
        table.c.claims_ended,
        table.c.capsule_id,
        table.c.group_id,
    )
    .where(_WAITS)
    .order_by(table.c.id)
    .limit(sa.bindparam("limit_"))
    .with_for_update(skip_locked=True)
)
_ANY_WAITS = Plain(sa.select(table.c.id).where(_WAITS).limit(sa.literal_column("1")))


def delete(tx: Tx, uuid: str) -> bool:
    """Remove the row; True for the one who really did."""
    return tx.run(table.delete().where(table.c.uuid == uuid)).rowcount == 1


def bury(tx: Tx, uuid: str, host: str, revision: int, at: float) -> None:
    """Remember for certain that the container is gone from the host."""
    values = {"revision": revision, "at": at}
    its = (tombstones.c.container_uuid == uuid, tombstones.c.host == host)
    if tx.run(tombstones.update().where(*its).values(values)).rowcount == 0:
        tx.run(tombstones.insert(), {"container_uuid": uuid, "host": host} | values)


def buried(connection: sa.Connection, host: str, since: int) -> list[str]:
    """Containers of the host deleted after a revision."""
    return [row[0] for row in _BURIED.run(connection, {"host_": host, "since": since})]


_BURIED = Plain(
    sa.select(tombstones.c.container_uuid).where(
        tombstones.c.host == sa.bindparam("host_"), tombstones.c.revision > sa.bindparam("since")
    )
)


def fates(connection: sa.Connection, host: str, uuids: Sequence[str]) -> tuple[set[str], set[str]]:
    """(those that have a row on the host, those certainly gone from it)."""
    alive = connection.execute(
        sa.select(table.c.uuid).where(table.c.uuid.in_(uuids), table.c.host == host)
    )
    gone = connection.execute(
        sa.select(tombstones.c.container_uuid).where(
            tombstones.c.container_uuid.in_(uuids), tombstones.c.host == host
        )
    )
    return {row[0] for row in alive}, {row[0] for row in gone}


def trim(tx: Tx, before: float, most: int = 1000) -> dict[str, int]:
    """Forget tombstones older than `before`; returns the new horizon of each host.

    Those of containers that live on elsewhere stay, and those of hosts that are away: a host may
    come back at any time.
    """
    lives = sa.exists().where(table.c.uuid == tombstones.c.container_uuid)
    away = sa.exists().where(hosts.c.name == tombstones.c.host, hosts.c.silent)
    old = tx.run(
        sa.select(tombstones.c.container_uuid, tombstones.c.host, tombstones.c.revision)
        .where(tombstones.c.at < before, ~lives, ~away)
        .limit(most)
    ).all()
    horizons: dict[str, int] = {}
    for uuid, host, revision in map(tuple, old):
        horizons[host] = max(horizons.get(host, 0), revision)
        tx.run(
            tombstones.delete().where(
                tombstones.c.container_uuid == uuid, tombstones.c.host == host
            )
        )
    return horizons
