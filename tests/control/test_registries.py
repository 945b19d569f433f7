"""Who is told a password, and how it is kept."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dolium import errors
from dolium.control.cipher import Cipher, is_key, new_key
from dolium.control.registries import Registries
from dolium.model import record
from dolium.model.registry import Login, holds, within
from dolium.store import schema

from .world import HOST, World

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


@pytest.mark.parametrize("text", ["", "a", "no key", base64.b64encode(b"short").decode(), "é" * 44])
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
