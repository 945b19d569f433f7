"""Images of hosts, as administrators ask for them with the clients people have."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium.agent.pulling import EVERY_S
from tests import engines, registries
from tests.live.clients import Clients, listing, table
from tests.live.followed import following
from tests.live.installation import IMAGE, Installation, Owned
from tests.live.place import Place, until

pytestmark = pytest.mark.live

PORT, SLOW = 5003, 5004
PULL, CREATE = "compute__do_image_pull", "compute__do_container_create"
BIG_MIB = 24
"""Size of an image that takes some time."""
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


@pytest.fixture
def slow(machine: Place, installation: Installation, registry: None) -> Iterator[str]:
    """The name of a large image, which comes down slowly and is not on the host."""
    socket = str(installation.socket)
    engines.load_image(socket, "big:latest", os.urandom(BIG_MIB << 20))
    registries.push(socket, "big:latest", f"127.0.0.1:{PORT}/team/big")
    installation.docker("rmi", "big:latest")
    rate = BIG_MIB << 20 >> 2  # four seconds
    script = Path(__file__).with_name("slow.py")
    command = [sys.executable, str(script), str(SLOW), str(PORT), str(rate)]
    process = subprocess.Popen(machine.command(*command))
    connect = machine.command("bash", "-c", f"</dev/tcp/127.0.0.1/{SLOW}")
    until(lambda: subprocess.run(connect, capture_output=True).returncode == 0, "it listens")
    yield f"127.0.0.1:{SLOW}/team/big:1"
    for pid in machine.named(Path(sys.executable).name, str(script)):
        machine.kill(pid)
    process.wait(10)


def journal(owned: Owned, uuid: str) -> dict[str, Any]:
    """Events of what was asked first of a container, by their names."""
    path = f"/v1/containers/{uuid}/container_actions"
    request_id = owned.client.ask("GET", path)["containerActions"][-1]["request_id"]
    events = owned.client.ask("GET", f"{path}/{request_id}")["events"]
    return {each["event"]: each["result"] for each in events}


def test_one_pull_for_many_and_how_far_it_is(
    installation: Installation, owned: Owned, slow: str
) -> None:
    begun = str(int(time.time()))
    with following(installation.rc("demo"), "events", "--since", "0", "--json") as events:
        marker = owned.create("marker", run=False)
        events.until(marker)  # so it is connected
        first = time.monotonic()
        uuids = [owned.create(f"big-{number}", image=slow) for number in range(3)]
        for uuid in uuids:
            owned.until(uuid, "Running")
        elapsed = time.monotonic() - first
        told = [json.loads(line) for line in events.lines]
    for uuid in uuids:
        its = [each for each in told if each["uuid"] == uuid]
        far = [each for each in its if (each["status_detail"] or "").startswith("Pulling image")]
        assert 2 <= len(far) <= elapsed / EVERY_S + 3
        assert {each["task_state"] for each in far} == {"image_pulling"}
        assert any(re.search(r": [1-9]\d* of 2\d MiB$", each["status_detail"]) for each in far)
        assert journal(owned, uuid).items() >= {PULL: "Success", CREATE: "Success"}.items()
        assert owned.show(uuid)["status_detail"].startswith("Up ")
    pulls = installation.docker("events", "--since", begun, "--until", "0s", "-f", "event=pull")
    assert len(pulls.splitlines()) == 1, pulls
    owned.delete(marker, *uuids)
    installation.docker("rmi", slow)


def test_a_pull_that_fails_is_an_event_too(owned: Owned, registry: None) -> None:
    uuid = owned.create("nosuch", image=f"{REPO}:nosuch")
    owned.until(uuid, "Error")
    assert journal(owned, uuid).items() >= {PULL: "Error", CREATE: "Error"}.items()
    owned.delete(uuid)


@pytest.mark.parametrize("policy", ["never", "ifnotpresent", None])
def test_an_image_that_an_operator_has_loaded(
    installation: Installation, policy: str | None
) -> None:
    installation.docker("tag", IMAGE, "loaded.example/team/app:7")
    with installation.client("admin") as client:
        owned = Owned(client)
        uuid = owned.create("loaded", image="loaded.example/team/app:7", image_pull_policy=policy)
        owned.until(uuid, "Running")
        found = journal(owned, uuid)
        owned.delete(uuid)
    assert (PULL in found) is (policy is None)
    used = "Registry loaded.example does not answer: the image loaded.example/team/app:7 on the"
    assert any(event.startswith(used) for event in found) is (policy is None)
    installation.docker("rmi", "loaded.example/team/app:7")


def test_searching_without_a_registry_says_so(installation: Installation) -> None:
    demo = Clients(installation.rc("demo"))
    said = demo.zun("image-search", "cirros", status=1)
    assert "Registry docker.io does not answer: no connection (HTTP 503)" in said
    assert "Registry docker.io does not answer" in demo.appcontainer(
        "image search", "cirros", status=1
    )
    assert "Policy doesn't allow image:get_all" in demo.zun("image-list", status=1)
