"""Images of hosts, as administrators ask for them with the clients people have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import registries
from tests.live.clients import Clients, listing, table
from tests.live.installation import IMAGE, Installation
from tests.live.place import Place, until

pytestmark = pytest.mark.live

PORT = 5003
REPO = f"127.0.0.1:{PORT}/team/app"


@pytest.fixture(scope="module")
def admin(installation: Installation) -> Clients:
    return Clients(installation.rc("admin"))


@pytest.fixture(scope="module")
def host(admin: Clients) -> str:
    return listing(admin.zun("host-list"))[0]["hostname"]


@pytest.fixture(scope="module")
def registry(machine: Place, installation: Installation) -> Iterator[None]:
    """One that has an image for everybody."""
    with registries.serving(machine, PORT):
        registries.push(str(installation.socket), IMAGE, REPO)
        yield


def settled(installation: Installation, uuid: str) -> dict[str, Any]:
    """The image once it is there, or has failed."""

    def look() -> dict[str, Any] | None:
        with installation.client("admin") as client:
            shown: dict[str, Any] = client.ask("GET", f"/v1/images/{uuid}")
        return shown if shown["image_id"] or shown["status_reason"] else None

    found = until(look, f"image {uuid} is there", 60.0, 0.2)
    assert found is not None
    return found


@pytest.mark.usefixtures("registry")
def test_pull_show_list_and_delete(installation: Installation, admin: Clients, host: str) -> None:
    made = table(admin.zun("pull", f"{REPO}:1", host))
    assert (made["repo"], made["tag"], made["image_id"]) == (REPO, "1", "None")
    shown = settled(installation, made["uuid"])
    assert shown["image_id"].startswith("sha256:")
    assert int(shown["size"]) > 100_000
    assert shown["image_id"] in installation.docker("images", "--no-trunc", "-q", f"{REPO}:1")
    assert "already exists. (HTTP 409)" in admin.zun("pull", f"{REPO}:1", host, status=1)
    assert table(admin.zun("image-show", made["uuid"]))["image_id"] == shown["image_id"]
    assert [row["repo"] for row in listing(admin.zun("image-list"))] == [REPO]
    assert [row["tag"] for row in listing(admin.appcontainer("image list"))] == ["1"]
    assert table(admin.appcontainer("image show", made["uuid"]))["repo"] == REPO
    admin.zun("image-delete", made["uuid"])
    until(lambda: not listing(admin.zun("image-list")), "the image is gone")
    assert installation.docker("images", "-q", f"{REPO}:1") == ""


@pytest.mark.usefixtures("registry")
def test_what_no_registry_has(installation: Installation, admin: Clients, host: str) -> None:
    made = table(admin.appcontainer("image pull", f"{REPO}:nosuch", host))
    reason = settled(installation, made["uuid"])["status_reason"]
    assert reason.startswith(f"Image {REPO}:nosuch could not be found: ")
    assert "does not exist. (HTTP 400)" in admin.zun("pull", "cirros", "nowhere", status=1)
    admin.appcontainer("image delete", made["uuid"])
    until(lambda: not listing(admin.zun("image-list")), "it is forgotten")


@pytest.mark.usefixtures("registry")
def test_who_is_killed_goes_on(installation: Installation, admin: Clients, host: str) -> None:
    made = table(admin.zun("pull", f"{REPO}:1", host))
    installation.kill()
    installation.up()
    assert settled(installation, made["uuid"])["image_id"].startswith("sha256:")
    admin.zun("image-delete", made["uuid"])
    installation.kill()
    installation.up()
    until(lambda: not listing(admin.zun("image-list")), "the image is gone")


def test_searching_without_a_registry_says_so(installation: Installation) -> None:
    demo = Clients(installation.rc("demo"))
    said = demo.zun("image-search", "cirros", status=1)
    assert "Registry docker.io does not answer: no connection (HTTP 503)" in said
    assert "Registry docker.io does not answer" in demo.appcontainer(
        "image search", "cirros", status=1
    )
    assert "Policy doesn't allow image:get_all" in demo.zun("image-list", status=1)
