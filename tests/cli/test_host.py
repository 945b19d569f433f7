"""`dolium host`, typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli import roles
from dolium.cli.main import main
from dolium.model.host import Hello, Inventory
from dolium.store import hosts, upgrade
from dolium.store.sqlite import Sqlite


@pytest.fixture
def state(tmp_path: Path) -> Path:
    database = tmp_path / "dolium.sqlite"
    upgrade.upgrade(database)
    store = Sqlite(database)
    for name in ("host1", "host2"):
        inventory = Inventory(hostname=name, cpus=8, memory_mib=16000, disk_gib=9, engine="docker")
        hello = Hello(host=name, boot="b", inventory=inventory)
        store.write(lambda tx, hello=hello: hosts.enrol(tx, hello, (8000, 9000, 9, 0), 1.0))  # type: ignore[misc]
    store.write(lambda tx: hosts.stands(tx, "host2", "big1", 2.0))
    store.close()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> str:
    status = main(["host", *words, "--state-dir", str(state)])
    out, err = capsys.readouterr()
    assert (status == 0) == (not err)
    return out + err


def test_hosts_are_listed_and_shown(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    lines = said(capsys, state, "list").splitlines()
    assert lines[0].split()[:5] == ["NAME", "ZONE", "STATE", "CONTAINERS", "CPUS"]
    assert lines[0].split()[5:] == ["MEMORY", "MiB", "HYPERVISOR"]
    assert lines[1].split() == ["host1", "nova", "up", "0", "0", "of", "8", "0", "of", "16000"]
    assert lines[2].split()[-1] == "big1"
    told = json.loads(said(capsys, state, "list", "--json"))
    assert [host["name"] for host in told] == ["host1", "host2"]
    shown = json.loads(said(capsys, state, "show", "host2", "--json"))
    assert (shown["state"], shown["engine"], shown["there"]) == ("up", "docker", [])
    assert (shown["zone"], shown["rack"], shown["hypervisor"]) == ("nova", "", "big1")


def test_an_operators_words(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    for words, expected in (
        (("drain", "host1", "--reason", "new disk"), "up, disabled"),
        (("enable", "host1"), "up"),
        (("disable", "host1"), "up, disabled"),
        (("enable", "host1"), "up"),
        (("force-down", "host1"), "forced down"),
        (("force-down", "host1", "--unset"), "up"),
        (("force-down", "host1", "--proven"), "gone"),
        (("heal", "host1"), "gone"),
    ):
        assert json.loads(said(capsys, state, *words, "--json"))["state"] == expected
    shown = said(capsys, state, "show", "host1")
    assert "an operator declared it down" in shown


def test_what_can_not_be_is_said(
    capsys: pytest.CaptureFixture[str], state: Path, tmp_path: Path
) -> None:
    assert "needs the name of a host" in said(capsys, state, "show")
    assert "nope could not be found" in said(capsys, state, "drain", "nope")
    assert "There is no database" in said(capsys, tmp_path / "empty", "list")


def test_fences_are_made_of_their_options() -> None:
    config = conf.load(
        hosts={"fence": ["command", "nova"]},
        fence_command={"program": ["true"]},
        fence_nova={"auth_url": "http://127.0.0.1:1"},
    )
    assert [driver.name for driver in roles.fences(config)] == ["command", "nova"]
    assert roles.fences(config)[0].off("host1") == "true says that it is off"
    with pytest.raises(errors.StartError, match="There is no fence driver named 'magic'"):
        roles.fences(conf.load(hosts={"fence": ["magic"]}))


# keystoneauth1 looks for osprofiler, which loads webob.
@pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")
def test_who_tells_of_hypervisors_is_configured(state: Path) -> None:
    store = Sqlite(state / "dolium.sqlite")
    account = {"auth_url": "http://127.0.0.1:1"}
    assert roles.hypervisors(conf.load(placing={"hypervisors": "nova"}, fence_nova=account), store)
    with pytest.raises(errors.StartError, match=r"\[fence_nova\] auth_url is not set"):
        roles.hypervisors(conf.load(placing={"hypervisors": "nova"}), store)
    assert roles.hypervisors(conf.load(), store) is None
    with store.read() as connection:
        assert not any(host.hypervisor for host in hosts.all_of_them(connection))
    store.close()
    with pytest.raises(errors.StartError, match="hypervisors"):
        conf.load(placing={"hypervisors": "ironic"})
