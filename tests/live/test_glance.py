"""Images of a real Glance: containers are made of them, and become some, whoever is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from dolium.beside import keystone_files
from dolium.model.image import OWN
from tests.live import glance
from tests.live.clients import Clients
from tests.live.conftest import INSTALLATION
from tests.live.glance import Glance
from tests.live.installation import IMAGE, Installation, Owned
from tests.live.place import Place, until

pytestmark = pytest.mark.live

KEYSTONE = "http://127.0.0.1:5000/v3"


@pytest.fixture(scope="module")
def installation(machine: Place, request: pytest.FixtureRequest) -> Installation:
    if why := glance.missing():
        pytest.skip(why)
    made = Installation(machine)
    request.node.stash[INSTALLATION] = made
    folder = made.state / "keystone"
    folder.mkdir(parents=True)
    word = keystone_files.passwords(folder / "passwords.json")["admin"]
    who = {"username": "admin", "password": word, "project_name": "admin"}
    made.configure({"glance": {"auth_url": KEYSTONE, "endpoint": glance.URL} | who})
    return made.up()


@pytest.fixture(scope="module")
def images(machine: Place, installation: Installation) -> Iterator[Glance]:
    word = keystone_files.passwords(installation.state / "keystone" / "passwords.json")["dolium"]
    who = {"username": "dolium", "password": word, "project_name": "service"}
    made = Glance(machine, who | {"auth_url": KEYSTONE})
    yield made
    made.kill()


@pytest.fixture(scope="module")
def demo(installation: Installation) -> Clients:
    return Clients(installation.rc("demo"))


@pytest.fixture(scope="module")
def archive(installation: Installation) -> bytes:
    """An image that `docker save` wrote, with a name that is somebody else's."""
    installation.docker("tag", IMAGE, "theirs:latest")
    saved = subprocess.run(
        ["docker", "-H", f"unix://{installation.socket}", "save", "theirs:latest"],
        capture_output=True,
        check=True,
    ).stdout
    installation.docker("rmi", "theirs:latest")
    return saved


def own(installation: Installation) -> list[str]:
    """Images that only Dolium names."""
    told = installation.docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    return [name for name in told.split() if name.startswith(OWN)]


def test_a_container_is_made_of_it(
    installation: Installation, images: Glance, owned: Owned, archive: bytes
) -> None:
    token = installation.token()
    ident = images.keep(token, "web", archive)
    uuid = owned.create("of-glance", image="web", image_driver="glance")
    shown = owned.until(uuid, "Running")
    assert (shown["image"], shown["image_driver"]) == ("web", "glance")
    assert own(installation) == [f"{OWN}glance:{ident}"]
    assert "theirs" not in installation.docker("images")
    owned.delete(uuid)


def test_a_container_becomes_one(installation: Installation, images: Glance, owned: Owned) -> None:
    uuid = owned.create("changed")
    owned.until(uuid, "Running")
    owned.client.ask("POST", f"/v1/containers/{uuid}/execute?command=touch%20/made-here")
    answer = owned.client.ask("POST", f"/v1/containers/{uuid}/commit?repository=mine&tag=1")
    ident, token = answer["uuid"], installation.token()
    until(lambda: images.images(token)[ident]["status"] == "active", "Glance has it")
    found = images.images(token)[ident]
    assert (found["name"], found["tags"], found["container_format"]) == ("mine", ["1"], "docker")
    assert owned.until(uuid, "Running")
    again = owned.create("again", image="mine:1", image_driver="glance")
    owned.until(again, "Running")
    told = owned.client.ask("POST", f"/v1/containers/{again}/execute?command=ls%20/made-here")
    assert told["exit_code"] == 0
    until(lambda: f"{OWN}commit:{ident}" not in own(installation), "the host forgot it")
    assert installation.rows("SELECT * FROM commits") == []
    owned.delete(uuid, again)
