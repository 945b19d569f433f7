"""On real servers: the schema, every story of the API, the control side, and what many processes
do to the same rows at once.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dolium import errors
from dolium.model.metric import Meter
from dolium.store import upgrade
from dolium.store.schema import HEAD, metadata
from dolium.store.server import Server, engine
from dolium.store.store import Tx
from tests import databases
from tests.control import (
    test_claims,
    test_containers,
    test_hypervisors,
    test_images,
    test_quotas,
    test_registries,
    world,
)
from tests.control.test_groups import keep_a_rule_together
from tests.databases import SERVERS, Database
from tests.live.crowd import Crowd, check
from tests.stories.telling import Telling, stories

pytestmark = [
    pytest.mark.live,
    # PyMySQL leaves the socket of a refused connection to the collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

STORIES = stories(Path(__file__).parents[1] / "stories")
CONTROL = {
    name: test
    for module in (test_containers, test_claims, test_hypervisors, test_images, test_registries)
    for name, test in inspect.getmembers(module, inspect.isfunction)
    if name.startswith("test_") and not inspect.signature(test).parameters
}
# Only where there is one writer does a placer share its commits.
del CONTROL["test_where_the_placer_is_near_a_wish_is_placed_in_its_own_commit"]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    """One of each kind."""
    kind: type[Database] = request.param
    if missing := kind.missing():
        pytest.skip(f"not installed: {missing}")
    made = kind()
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def kept(server: Database) -> Iterator[Server]:
    """Made once, emptied for each test."""
    made = databases.store(server, "kept")
    yield made
    made.close()


@pytest.fixture
def store(kept: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Empty; worlds of tests use it instead of one in memory."""
    databases.empty(kept)
    kept.meter = Meter()
    monkeypatch.setattr(world, "make_store", lambda: kept)
    return kept


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_story(store: Server, story: dict[str, Any]) -> None:
    Telling(story).tell()


@pytest.mark.parametrize("test", CONTROL.values(), ids=CONTROL.keys())
def test_control(store: Server, test: Callable[[], None]) -> None:
    test()


def _filled(made: sa.Engine, rows: dict[str, dict[str, object]]) -> list[Any]:
    """Put a row into each table; returns what is in them then."""
    with made.connect() as connection:
        for name, row in rows.items():
            connection.execute(metadata.tables[name].insert(), row)
    return _contents(made, rows)


def _contents(made: sa.Engine, names: Collection[str]) -> list[Any]:
    with made.connect() as connection:
        return [connection.execute(sa.select(metadata.tables[name])).all() for name in names]


def _another(_context: object, _there: object, _here: object, there: Any, here: Any) -> bool | None:
    """MariaDB names a blob by its size."""
    both = isinstance(there, sa.types._Binary) and isinstance(here, sa.types._Binary)
    return False if both else None


def test_migrations_make_exactly_the_schema_and_take_it_back(server: Database) -> None:
    url = server.make("migrated")
    assert upgrade.version(url) is None
    with pytest.raises(errors.StartError, match="dolium db sync"):
        upgrade.check(url)
    assert "made" in str(upgrade.upgrade(url))
    upgrade.check(url)
    assert upgrade.version(url) == HEAD
    assert upgrade.upgrade(url) is None
    made = engine(url)
    with made.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _another})
        assert compare_metadata(context, metadata) == []
    network = b'{"subnets": [{"cidr": "10.0.0.0/24"}]}'
    rows: dict[str, dict[str, object]] = {
        "deployment": {"id": 1, "uuid": "one", "created_at": 1.5},
        "networks": {"uuid": "n1", "project_id": "p1", "used_at": 1.0, "document": network},
        "ranges": {"cidr": "10.0.0.0/24", "network_uuid": "n1"},
    }
    before = _filled(made, rows)
    upgrade.downgrade(url, "0001")
    upgrade.upgrade(url)
    assert _contents(made, rows) == before
    upgrade.downgrade(url, "base")
    with made.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version"}
    made.dispose()


def test_what_many_do_at_once_adds_up(server: Database, store: Server) -> None:
    crowd = Crowd(lambda: Server(server.url("kept")), each=25)
    crowd.play()
    assert check(store) > 0
    assert crowd.lost > 0
    assert crowd.moved > 0
    assert not crowd.put_off, "nobody has to ask twice because of others"


def test_placers_keep_a_rule_together(server: Database, store: Server) -> None:
    keep_a_rule_together([Server(server.url("kept")) for _ in range(3)])


@pytest.mark.usefixtures("store")
def test_racing_creations_never_pass_a_limit(server: Database) -> None:
    test_quotas.race([Server(server.url("kept")) for _ in range(4)])


@pytest.mark.usefixtures("store")
def test_no_container_is_left_with_a_registry_that_is_gone(server: Database) -> None:
    test_registries.race([Server(server.url("kept")) for _ in range(2)])


@pytest.mark.usefixtures("store")
def test_a_process_ends_in_order_although_the_server_is_gone(server: Database) -> None:
    leaving = Server(server.url("kept"))
    with leaving.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    server.kill()
    try:
        leaving.close()
    finally:
        server.start()


_SELF = {"mariadb": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}
_END = {"mariadb": "KILL {}", "postgresql": "SELECT pg_terminate_backend({})"}


def test_a_connection_that_is_lost_before_a_part_is_taken_back_is_one_more_try(
    server: Database, store: Server
) -> None:
    tries = []

    def work(tx: Tx) -> str:
        kind = tx.connection.dialect.name
        tries.append(tx.connection.exec_driver_sql(_SELF[kind]).scalar_one())
        with suppress(LookupError), tx.apart():
            if len(tries) == 1:
                with engine(server.url("kept")).connect() as other:
                    other.exec_driver_sql(_END[kind].format(tries[0]))
            raise LookupError
        return "written"

    assert store.write(work) == "written"
    assert len(tries) == 2


def test_nothing_is_lost_or_doubled_when_the_server_dies(server: Database, store: Server) -> None:
    crowd = Crowd(lambda: Server(server.url("kept")), each=25)

    def die_twice() -> None:
        for _ in range(2):
            while not any(each.hints.count("placer") for each in crowd.stores):
                time.sleep(0.01)
            time.sleep(0.3)
            server.kill()
            server.start()

    crowd.play(die_twice)
    assert check(store) > 0
    assert crowd.put_off
