"""Images of a real Glance: containers are made of them, and become some, whoever is killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from dolium.beside import keystone_files
from dolium.model.image import OWN
from tests.live import glance
from tests.live import test_tempest as tempest
from tests.live.clients import Clients
from tests.live.conftest import INSTALLATION
from tests.live.glance import Glance
from tests.live.installation import IMAGE, Installation, Owned
from tests.live.people import member
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
    settled(installation)
    owned.delete(uuid, again)


def active(installation: Installation, images: Glance, ident: str) -> None:
    token = installation.token("admin")
    until(lambda: images.images(token)[ident]["status"] == "active", "Glance has it")


def settled(installation: Installation) -> None:
    until(lambda: not installation.rows("SELECT * FROM commits"), "nothing is left to do")


def test_nobody_gets_what_is_anothers(
    installation: Installation, images: Glance, owned: Owned, archive: bytes, demo: Clients
) -> None:
    """Not even where it is on the host already."""
    ident = images.keep(installation.token(), "secret", archive)
    uuid = owned.create("has-it", image=ident, image_driver="glance")
    owned.until(uuid, "Running")
    with installation.client(member(installation, "eve")) as client:
        for image in ("secret", ident):
            body = {"image": image, "image_driver": "glance"}
            status, said = client.raw("POST", "/v1/containers", json.dumps(body).encode())
            assert (status, b"image-not-found" in said) == (400, True), said
        for image in (f"{OWN}glance:{ident}", _id(installation, f"{OWN}glance:{ident}")):
            named = json.dumps({"image": image}).encode()
            status, said = client.raw("POST", "/v1/containers", named)
            assert (status, b"can't be had by its name" in said) == (400, True), said
    owned.delete(uuid)


def _id(installation: Installation, name: str) -> str:
    return installation.docker("image", "inspect", "-f", "{{.Id}}", name).strip()


def test_a_glance_that_is_down_is_waited_for(
    installation: Installation, images: Glance, owned: Owned, archive: bytes
) -> None:
    ident = images.keep(installation.token(), "late", archive)
    uuid = owned.create("waits", image=ident, image_driver="glance")
    owned.until(uuid, "Running")
    installation.docker("rmi", "--force", f"{OWN}glance:{ident}")
    images.kill()
    owned.act(uuid, "rebuild")
    until(
        lambda: "Glance does not answer" in (owned.show(uuid)["status_reason"] or ""),
        "it says what it waits for",
    )
    body = json.dumps({"image": "late", "image_driver": "glance"}).encode()
    status, said = owned.client.raw("POST", "/v1/containers", body)
    assert (status, b"Glance does not answer" in said) == (503, True), said
    images.start()
    assert owned.until(uuid, "Running")["status_reason"] is None
    owned.delete(uuid)


def test_dolium_is_killed_while_it_sends(
    installation: Installation, images: Glance, owned: Owned
) -> None:
    uuid = owned.create("large", cpu=1)
    owned.until(uuid, "Running")
    made = "dd%20if=/dev/urandom%20of=/large%20bs=1M%20count=64"
    owned.client.ask("POST", f"/v1/containers/{uuid}/execute?command={made}")
    path = f"/v1/containers/{uuid}/commit?repository=large"
    ident, token = owned.client.ask("POST", path)["uuid"], installation.token()
    states = ("saving", "active")
    until(lambda: images.images(token)[ident]["status"] in states, "it is on its way", step=0.0)
    with images.hung():
        installation.kill()
    installation.start()
    installation.ready()
    active(installation, images, ident)
    settled(installation)
    assert owned_again(installation, uuid)["status"] == "Running"
    assert images.images(token)[ident]["size"] > 64 * 2**20
    assert f"{OWN}commit:{ident}" not in own(installation)
    with installation.client() as client:
        told = client.ask("GET", f"/v1/containers/{uuid}/container_actions")
        newest = told["containerActions"][0]
        assert (newest["action"], newest["message"]) == ("commit", None)
        Owned(client).delete(uuid)


def owned_again(installation: Installation, uuid: str) -> dict[str, Any]:
    """Settled, by a Dolium that was started again."""
    with installation.client() as client:
        return Owned(client).until(uuid, "Running")


def test_clients(installation: Installation, images: Glance, demo: Clients) -> None:
    """As people type it."""

    def active(name: str) -> bool:
        found = images.images(installation.token()).values()
        return [each["status"] for each in found if each["name"] == name] == ["active"]

    with installation.client() as client:
        owned = Owned(client)
        uuid = owned.create("typed")
        owned.until(uuid, "Running")
        # One after the other: this Glance's SQLite refuses a second writer now and then.
        demo.zun("commit", "typed", "by-zun:1")
        until(lambda: active("by-zun"), "zun's commit is there")
        demo.appcontainer("commit", "typed", "by-openstack")
        until(lambda: active("by-openstack"), "openstack's commit is there")
        driver = ("--image-driver", "glance")
        demo.zun("run", "--name", "from-it", *driver, "by-zun:1")
        again = client.ask("GET", "/v1/containers?name=from-it")["containers"][0]["uuid"]
        owned.until(again, "Stopped", "Running")  # its image's command ends by itself
        assert "by-openstack" in demo.zun("image-search", "--image_driver", "glance", "by-")
        owned.act(uuid, "rebuild", image="by-openstack", image_driver="glance")
        assert owned.until(uuid, "Running")["image"] == "by-openstack"
        owned.delete(uuid, again)
    settled(installation)


@pytest.mark.soak
def test_tempest(installation: Installation, images: Glance, demo: Clients) -> None:
    """What Zun's people wrote about commits; see test_tempest.py."""
    admin = Clients(installation.rc("admin"))
    admin.openstack("service", "create", "--name", "glance", "image")
    for kind in ("public", "internal"):
        admin.openstack("endpoint", "create", "--region", "RegionOne", "image", kind, glance.URL)
    test = f"{tempest.CONTAINER}.test_commit_container_140"
    run = tempest.Run("1.40", "1.40", passing=(test,), every=test)
    assert tempest.outcomes(installation, "glance", run, glance=True) == {test: "ok"}
