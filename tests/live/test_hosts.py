"""Hosts and services as an administrator types them into the clients people already have."""

from __future__ import annotations

import json

import pytest

from tests.live.clients import Clients, listing, table
from tests.live.installation import Installation, Owned
from tests.live.place import until

pytestmark = pytest.mark.live

BINARY = "zun-compute"


@pytest.fixture(scope="module")
def admin(installation: Installation) -> Clients:
    return Clients(installation.rc("admin"))


def test_hosts(admin: Clients, owned: Owned) -> None:
    uuid = owned.create("there", cpu=0.5, memory="128")
    owned.until(uuid, "Running")
    (host,) = listing(admin.zun("host-list"))
    assert host["mem_total"].isdigit() and host["cpus"].isdigit() and host["disk_total"].isdigit()
    assert listing(admin.appcontainer("host list")) == [host]
    shown = table(admin.zun("host-show", host["hostname"]))
    assert (shown["uuid"], shown["total_containers"]) == (host["uuid"], "1")
    assert (shown["mem_used"], shown["cpu_used"], shown["os_type"]) == ("128", "0.5", "linux")
    assert "runc" in shown["runtimes"]
    assert table(admin.appcontainer("host show", host["uuid"]))["hostname"] == host["hostname"]
    assert "could not be found" in admin.appcontainer("host show", "nope", status=1)
    (zone,) = listing(admin.zun("availability-zone-list"))
    assert list(zone.values()) == ["nova"]
    assert listing(admin.appcontainer("availability zone list"))[0] == zone


def test_services(admin: Clients, owned: Owned, installation: Installation) -> None:
    uuid = owned.create("stays")
    owned.until(uuid, "Running")
    (service,) = listing(admin.zun("service-list"))
    assert (service["Binary"], service["State"], service["Disabled"]) == (BINARY, "up", "False")
    assert service["Availability Zone"] == "nova" and "T" in service["Updated At"]
    assert listing(admin.appcontainer("service list"))[0]["Host"] == service["Host"]
    host = service["Host"]
    spared = table(admin.appcontainer("service disable", host, BINARY, "--reason", "new disk"))
    assert (spared["Disabled"], spared["Disabled Reason"]) == ("True", "new disk")
    refused = owned.create("refused")
    assert "not enough hosts" in owned.until(refused, "Error")["status_reason"]
    enabled = table(admin.zun("service-enable", host, BINARY))
    assert (enabled["disabled"], enabled["disabled_reason"]) == ("False", "None")
    down = table(admin.appcontainer("service forcedown", host, BINARY))
    assert down["Forced_down"] == "True"
    assert listing(admin.zun("service-list"))[0]["State"] == "down"
    owned.until(uuid, "Running")  # its host lives, and says so
    assert table(admin.zun("service-force-down", host, BINARY, "--unset"))["forced_down"] == "False"
    assert "still has containers" in admin.zun("service-delete", host, BINARY)
    heard = beats(installation)
    until(lambda: beats(installation) > heard, "another sign of life")


def beats(installation: Installation) -> str:
    (host,) = json.loads(installation.said("host", "list", "--json"))
    assert host["state"] == "up"
    return str(host["heard_at"])
