"""Quotas, and private registries that ask who is there, typed into the clients people have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from dolium.model.registry import Login
from tests import registries
from tests.live.clients import Clients, listing, table
from tests.live.installation import IMAGE, Installation, Owned
from tests.live.people import member
from tests.live.place import Place

pytestmark = pytest.mark.live

PORT = 5002
SECRET = "correct-horse-battery-staple"
LOGIN = Login(domain=f"127.0.0.1:{PORT}", username="robot", password=SECRET)
REPO = f"{LOGIN.domain}/team/app"


@pytest.fixture(scope="module")
def demo(installation: Installation) -> Clients:
    return Clients(installation.rc("demo"))


@pytest.fixture(scope="module")
def admin(installation: Installation) -> Clients:
    return Clients(installation.rc("admin"))


@pytest.fixture(scope="module")
def project(installation: Installation, admin: Clients) -> str:
    """The id of demo's project."""
    name = installation.rc("demo")["OS_PROJECT_NAME"]
    return admin.openstack("project", "show", "-f", "value", "-c", "id", name).strip()


@pytest.fixture(scope="module")
def registry(machine: Place, installation: Installation) -> Iterator[str]:
    """One that has an image for `robot` alone; yields the image's name."""
    with registries.serving(machine, PORT, LOGIN):
        registries.push(str(installation.socket), IMAGE, REPO, LOGIN)
        yield f"{REPO}:1"


def test_quotas(demo: Clients, admin: Clients, owned: Owned, project: str) -> None:
    uuid = owned.create("counted", run=False, cpu=0.3, memory="80")
    shown = listing(demo.zun("quota-get", "--usages", project))
    used = {row["Property"]: (row["limit"], row["in_use"]) for row in shown}
    assert used == {
        "containers": ("40", "1"),
        "memory": ("51200", "80"),
        "disk": ("100", "0"),
        "cpu": ("20", "0.3"),
    }
    assert table(admin.zun("quota-update", "--containers", "1", project))["containers"] == "1"
    refused = demo.zun("run", "cirros", status=1)
    assert "Quota exceeded for resources: ['containers'] (HTTP 403)" in refused
    assert "Policy doesn't allow quota:update" in demo.zun(
        "quota-update", "--containers", "9", project, status=1
    )
    assert table(demo.zun("quota-defaults", project))["containers"] == "40"
    admin.zun("quota-delete", project)
    assert table(demo.zun("quota-get", project))["containers"] == "40"
    assert table(admin.zun("quota-class-update", "--disk", "7", "default"))["disk"] == "7"
    assert table(admin.zun("quota-class-get", "default"))["disk"] == "7"
    assert table(demo.appcontainer("quota get", project))["disk"] == "7"
    assert table(admin.appcontainer("quota update", "--disk", "8", project))["disk"] == "8"
    assert table(demo.appcontainer("quota default", project))["disk"] == "7"
    admin.appcontainer("quota delete", project)
    assert table(admin.appcontainer("quota class update", "--disk", "100", "default"))["disk"] == (
        "100"
    )
    assert table(admin.appcontainer("quota class get", "default"))["disk"] == "100"
    owned.delete(uuid)


def test_a_registry_that_asks_who_is_there(
    installation: Installation, demo: Clients, owned: Owned, registry: str
) -> None:
    create = ["registry-create", "--name", "team", "--domain", LOGIN.domain]
    made = table(demo.zun(*create, "--username", "robot", "--password", "wrong"))
    assert (made["name"], made["domain"], made["password"]) == ("team", LOGIN.domain, "***")
    refused = owned.create("refused", image="team/app:1", registry="team")
    reason = owned.until(refused, "Error")["status_reason"]
    assert reason.startswith(f"Registry {LOGIN.domain} denies access to image {registry}: ")
    open_ = owned.create("nobody", image=registry)
    assert "denies access to image" in owned.until(open_, "Error")["status_reason"]
    assert table(demo.zun("registry-update", "--password", SECRET, "team"))["password"] == "***"
    told = table(demo.zun("run", "--name", "mine", "--registry", "team", "team/app:1", "top"))
    assert (told["image"], told["registry_id"]) == ("team/app:1", made["uuid"])
    shown = owned.until(told["uuid"], "Running")
    assert shown["image"] == "team/app:1"
    assert "robot" not in str(shown)
    assert "is in use by container" in demo.zun("registry-delete", "team")
    assert [row["name"] for row in listing(demo.zun("registry-list", "--name", "team"))] == ["team"]
    assert table(demo.zun("registry-show", "team"))["uuid"] == made["uuid"]
    _nowhere(installation)
    owned.act(told["uuid"], "kill", signal="SIGKILL")
    owned.until(told["uuid"], "Stopped")
    owned.delete(refused, open_, told["uuid"])
    assert "has been accepted" in demo.zun("registry-delete", "team")
    assert listing(demo.zun("registry-list")) == []


def _nowhere(installation: Installation) -> None:
    """The password is in no file of Dolium's and in no command line."""
    state = installation.place.seen(installation.state)
    found = []
    for path in installation.files():
        with suppress(FileNotFoundError):
            if SECRET.encode() in path.read_bytes():
                found.append(str(path))
    assert found == []
    assert SECRET not in installation.tail(10_000)
    assert SECRET not in str(installation.place.processes())
    mode = (state / "secrets.key").stat().st_mode
    assert mode & 0o777 == 0o600


def test_the_same_by_openstack(installation: Installation, demo: Clients, registry: str) -> None:
    made = demo.appcontainer(
        "registry create",
        *("--name", "osc", "--domain", LOGIN.domain, "--username", "robot"),
        *("--password", SECRET),
    )
    assert "osc" in made
    assert SECRET not in made
    ran = table(
        demo.appcontainer(
            "run", "--name", "osc1", "--registry", "osc", "--wait", "team/app:1", "top"
        )
    )
    assert "Running" in ran["status"]
    assert "osc" in demo.appcontainer("registry list")
    assert "osc" in demo.appcontainer("registry show", "osc")
    assert "***" in demo.appcontainer("registry update", "--username", "robot2", "osc")
    other = Clients(member(installation, "others"))
    assert "could not be found" in other.appcontainer("registry show", "osc", status=1)
    demo.appcontainer("exec", "osc1", "true")
    with installation.client() as client:
        owned = Owned(client)
        owned.act(ran["uuid"], "kill", signal="SIGKILL")
        owned.until(ran["uuid"], "Stopped")
        owned.delete(ran["uuid"])
    demo.appcontainer("registry delete", "osc")
    assert "osc" not in demo.appcontainer("registry list")
