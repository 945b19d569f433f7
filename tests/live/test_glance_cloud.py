"""Images of Glance in a cloud of several hosts, which can't reach it: bytes over mutual TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dolium.beside import keystone_files
from dolium.model.image import OWN
from tests.databases import MariaDb
from tests.live import glance, place
from tests.live.cloud import Cloud
from tests.live.glance import Glance
from tests.live.installation import IMAGE, Owned
from tests.live.place import Place, until

pytestmark = [pytest.mark.live, pytest.mark.soak]

KEYSTONE = "http://127.0.0.1:5000/v3"


@pytest.fixture(scope="module")
def made() -> Iterator[Cloud]:
    if why := place.missing() or MariaDb.missing() or glance.missing():
        pytest.skip(f"a whole cloud: {why}")
    with ExitStack() as stack:
        machine = stack.enter_context(Place())
        database = MariaDb()
        stack.callback(database.close)
        database.start()
        word = words(machine)["admin"]
        who = {"username": "admin", "password": word, "project_name": "admin"}
        config = {"glance": {"auth_url": KEYSTONE, "endpoint": glance.URL} | who}
        made = Cloud(machine, database, stack, config)
        made.build(2)
        yield made


def words(machine: Place) -> dict[str, str]:
    folder = machine.folder / "identity" / "keystone"
    folder.mkdir(parents=True, exist_ok=True)
    return keystone_files.passwords(folder / "passwords.json")


@pytest.fixture(scope="module")
def images(made: Cloud) -> Iterator[Glance]:
    who = {"username": "dolium", "password": words(made.place)["dolium"]}
    started = Glance(made.place, who | {"auth_url": KEYSTONE, "project_name": "service"})
    yield started
    started.kill()


def test_an_image_of_each_host_is_one_of_the_other(made: Cloud, images: Glance) -> None:
    with made.client() as client:
        owned, token = Owned(client), made.token()
        uuids = [owned.create(name, cpu=1) for name in ("one", "two")]
        for uuid in uuids:
            owned.until(uuid, "Running")
        large = "dd%20if=/dev/urandom%20of=/large%20bs=1M%20count=64"
        client.ask("POST", f"/v1/containers/{uuids[0]}/execute?command={large}")
        path = f"/v1/containers/{uuids[0]}/commit?repository=large"
        ident = client.ask("POST", path)["uuid"]
        states = ("saving", "active")
        until(lambda: images.images(token)[ident]["status"] in states, "it is sent", step=0.0)
        for conductor in made.conductors:
            conductor.kill()
        for conductor in made.conductors:
            conductor.start().ready()
        active = lambda: images.images(token)[ident]["status"] == "active"  # noqa: E731
        until(active, "Glance has it")
        until(lambda: not made.rows("SELECT * FROM commits"), "nothing is left to do")
        again = [owned.create(f"again-{n}", image=ident, image_driver="glance") for n in range(4)]
        for uuid in again:
            owned.until(uuid, "Running", seconds=120.0)
        for host in made.hosts:
            named = host.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
            assert f"{OWN}glance:{ident}" in named
            assert f"{OWN}commit:{ident}" not in named
        owned.delete(*uuids, *again)


def test_an_archive_of_people(made: Cloud, images: Glance) -> None:
    socket = made.hosts[0].engine
    saved = subprocess.run(
        ["docker", "-H", f"unix://{socket}", "save", IMAGE], capture_output=True, check=True
    ).stdout
    with made.client() as client:
        owned = Owned(client)
        images.keep(made.token(), "web", saved)
        uuid = owned.create("of-glance", image="web", image_driver="glance")
        owned.until(uuid, "Running")
        owned.delete(uuid)
