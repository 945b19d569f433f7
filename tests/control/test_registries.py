"""Who is told a password, and how it is kept."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dolium import conf, errors
from dolium.control.cipher import Cipher, is_key, new_key
from dolium.control.containers import Containers
from dolium.control.registries import Registries
from dolium.model import record
from dolium.model.container import Spec
from dolium.model.context import Context
from dolium.model.registry import Login, holds, within
from dolium.store import schema, upgrade
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store

from .world import HOST, TickingClock, World

SECRET = "correct horse battery staple"


def made(world: World, **given: Any) -> str:
    values = {"domain": "d.example", "username": "u", "password": SECRET} | given
    return world.registries.create(world.who(), values).uuid


def test_a_password_goes_to_the_containers_host_only() -> None:
    world = World()
    uuid = world.running(registry_id=made(world))
    login = world.hosts.login(HOST, world.boot, uuid)
    assert login == Login(domain="d.example", username="u", password=SECRET)
    assert SECRET not in repr(login)
    for host, boot, container in (
        ("host2", world.boot, uuid),
        (HOST, "boot-0", uuid),
        (HOST, world.boot, "11111111-1111-4111-8111-111111111111"),
        (HOST, world.boot, world.running("without")),
    ):
        with pytest.raises((errors.NotFound, errors.Changed)):
            world.hosts.login(host, boot, container)
    with pytest.raises(errors.NotFound):  # it is another host's container
        world.registries.login("host2", uuid)


def test_it_is_sealed_in_the_database_and_in_no_wish() -> None:
    world = World()
    uuid = world.running(registry_id=made(world))
    assert SECRET not in repr(world.wish(uuid))
    with world.store.read() as connection:
        for table in schema.metadata.sorted_tables:
            rows = connection.execute(sa.select(table)).all()
            assert SECRET not in repr(rows), table.name
        sealed = connection.execute(sa.select(schema.registries.c.sealed)).scalar_one()
    assert str(sealed).startswith("gAAAA")


def test_what_is_changed_counts_from_the_next_pull() -> None:
    world = World()
    registry = made(world)
    uuid = world.running(registry_id=registry)
    row = world.registries.find(world.who(), registry)
    world.registries.update(row, {"password": "other", "domain": "e.example"})
    login = world.hosts.login(HOST, world.boot, uuid)
    assert (login.domain, login.username, login.password) == ("e.example", "u", "other")


def test_a_registry_that_goes_while_a_container_is_made_is_not_found() -> None:
    world = World()
    registry = made(world)
    world.registries.delete(world.registries.find(world.who(), registry))
    with pytest.raises(errors.NotFound, match="Registry"):
        world.create(registry_id=registry)
    assert world.containers.list(world.who(), record.Query()) == []


def test_no_container_is_left_with_a_registry_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    upgrade.upgrade(path)
    race([Sqlite(path), Sqlite(path)])


def race(stores: Sequence[Store]) -> None:
    """One process creates a container with a registry that another deletes, many times."""
    clock, key = TickingClock(), new_key()
    here, there = (Registries(store, clock, Cipher([key])) for store in stores)
    containers = Containers(stores[1], clock, conf.Quota(containers=-1, cpu=-1, memory=-1))
    context = Context(user_id="u", project_id="p", request_id="req-1")
    kept = 0
    for _ in range(25):
        row = here.create(context, {"domain": "d.example"})
        ready = threading.Barrier(2)

        def create(uuid: str = row.uuid, ready: threading.Barrier = ready) -> None:
            ready.wait(10)
            with suppress(errors.NotFound):
                containers.create(context, None, Spec(image="a", registry_id=uuid), run=False)

        creating = threading.Thread(target=create)
        creating.start()
        ready.wait(10)
        with suppress(errors.Conflict):
            here.delete(row)
        creating.join()
        kept += _used(stores[0], row.uuid)
        with suppress(errors.NotFound):
            there.of_project("p", row.uuid)
            kept -= 1
    assert kept == 0, "a container has lost its registry, or it stays without one"
    for store in stores:
        store.close()


def _used(store: Store, registry: str) -> int:
    with store.read() as connection:
        table = schema.containers
        query = sa.select(sa.func.count()).where(table.c.registry_id == registry)
        return int(connection.execute(query.select_from(table)).scalar_one())


def test_another_key_can_not_read_and_says_so() -> None:
    world = World()
    uuid = world.running(registry_id=made(world))
    other = Registries(world.store, world.clock, Cipher([new_key()], "/etc/dolium/keys"))
    with pytest.raises(errors.Unreadable, match="/etc/dolium/keys has not the key"):
        other.login(HOST, uuid)


@given(secret=st.text())
def test_keys_can_be_replaced(secret: str) -> None:
    old, new = new_key(), new_key()
    sealed = Cipher([old]).seal(secret)
    assert Cipher([new, old]).open(sealed) == secret
    again = Cipher([new, old]).seal(secret)
    assert Cipher([new]).open(again) == secret
    with pytest.raises(errors.Unreadable):
        Cipher([old]).open(again)


@pytest.mark.parametrize(
    "text", ["", "a", "no key", base64.b64encode(b"short").decode(), "é" * 44, f"*{'A' * 43}="]
)
def test_what_is_no_key(text: str) -> None:
    assert is_key(new_key())
    assert not is_key(text)


@pytest.mark.parametrize(
    ("image", "full", "signs_in"),
    [
        ("app", "d.example/app", True),
        ("team/app:1", "d.example/team/app:1", True),
        ("d.example/app", "d.example/app", True),
        ("quay.io/app", "quay.io/app", False),
        ("localhost/app", "localhost/app", False),
        ("d.example:5000/app", "d.example:5000/app", False),
    ],
)
def test_names_within_a_registry(image: str, full: str, signs_in: bool) -> None:
    assert within(image, "d.example") == full
    assert holds("d.example", full) is signs_in


def test_a_domain_that_engines_take_for_a_folder_of_docker_hub_gets_no_password() -> None:
    assert within("app", "myregistry") == "myregistry/app"
    assert not holds("myregistry", "myregistry/app")
    assert holds("d.example/team", within("app", "d.example/team"))
