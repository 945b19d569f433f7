"""Why a container is where it is, and what a domain takes down, as people and programs read it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from dolium import conf
from dolium.cli.main import main
from dolium.control.containers import Containers
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.model.container import Spec
from dolium.model.context import Context
from dolium.model.host import Hello, Inventory
from dolium.store import upgrade
from dolium.store.sqlite import Sqlite
from tests.control.world import FlatNetwork, TickingClock

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A database with a group of two on two racks, and one container that fits nowhere."""
    path = tmp_path / "dolium.sqlite"
    upgrade.upgrade(path)
    store, clock = Sqlite(path, threaded=False), TickingClock()
    hosts = Hosts(store, clock, conf.Placing(), "deployment")
    for name, rack in (("one", "r1"), ("two", "r2")):
        inventory = Inventory(hostname=name, cpus=8, memory_mib=9999, disk_gib=9, rack=rack)
        hosts.hello(Hello(host=name, boot="b", inventory=inventory))
    containers = Containers(store, clock, conf.Quota())
    for name in ("web-1", "web-2", "web-3"):
        spec = Spec(image="cirros", hints={"group": "web", "anti_affinity": "rack"})
        context = Context(user_id="u", project_id="shop", request_id=f"req-{name}")
        containers.create(context, name, spec, run=True)
    Placer(store, clock, Networks(store, FlatNetwork()), Random(1)).turn()
    store.close()
    return str(tmp_path)


def told(capsys: Capture, *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_why(folder: str, capsys: Capture) -> None:
    said = told(capsys, "why", "web-2", "--state-dir", folder)
    assert "web-2 (" in said and "project shop) is Creating" in said
    assert "zone nova, rack r" in said
    assert "because of group web: 1 in its region, 1 in its zone, 0 in its rack" in said
    assert "of group web there are now 1 in its region" in said
    said = told(capsys, "why", "web-3", "--state-dir", folder)
    assert "nowhere: There are not enough hosts available: 2 hosts: 2 are in a rack with" in said
    (found,) = json.loads(told(capsys, "why", "web-1", "--json", "--state-dir", folder))
    assert found["domains"]["node"] in ("/nova/r1/one/one", "/nova/r2/two/two")


def test_blast_radius(folder: str, capsys: Capture) -> None:
    said = told(capsys, "blast-radius", "rack", "r1", "--state-dir", folder)
    assert said.startswith(
        "Losing rack r1 takes down 1 host and 1 container of 1 project.\n"
        "  hosts: one\n"
        "  project shop: 1 container\n"
        "    web-"
    )
    assert said.endswith("  group web of project shop loses 1 of 2 members\n")
    said = told(capsys, "blast-radius", "zone", "nova", "--state-dir", folder)
    assert "group web of project shop loses all 2 members" in said
    command = ["blast-radius", "node", "two", "--json", "--state-dir", folder]
    found = json.loads(told(capsys, *command))
    assert (found["hosts"], len(found["containers"]["shop"])) == (["two"], 1)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["why", "nobody"], "Container nobody could not be found"),
        (["blast-radius", "rack", "r9"], "Rack r9 could not be found"),
    ],
)
def test_what_is_not_there_is_said(
    folder: str, capsys: Capture, command: list[str], says: str
) -> None:
    assert main([*command, "--state-dir", folder]) == 1
    assert says in capsys.readouterr().err


def test_no_database_is_said_and_none_made(tmp_path: Path, capsys: Capture) -> None:
    assert main(["why", "a", "--state-dir", str(tmp_path)]) == 1
    assert "There is no database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
