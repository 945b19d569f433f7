"""Hosts that are servers of a real Nova: which are proven off, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli.roles import Conducting
from dolium.clients import nova as clients
from dolium.clients.nova import Nova as Client
from dolium.control.hosts import Hosts
from dolium.drivers.fence.nova import NovaFence, NovaOptions
from dolium.link.local import LocalHosts
from dolium.model.clock import SystemClock
from dolium.model.host import Hello, Inventory
from dolium.store import hosts, upgrade
from dolium.store.sqlite import Sqlite
from tests.live.nova import HYPERVISORS, Nova, User
from tests.live.place import port, until

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    # keystoneauth1 looks for osprofiler, which loads webob.
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def nova(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nova]:
    if missing := Nova.missing():
        pytest.skip(f"not installed: {missing}")
    made = Nova(tmp_path_factory.mktemp("nova"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def admin(nova: Nova) -> User:
    return nova.user()


def test_a_running_server_is_stopped(nova: Nova, admin: User) -> None:
    ident = admin.boot("runs")
    with pytest.raises(errors.Refused, match=f"Server {ident} is ACTIVE"):
        nova.fence(power_off=False).off("runs")
    assert nova.fence().off("runs") == f"server {ident} is SHUTOFF"
    found = admin.client.server(ident)
    assert found is not None and (found.status, found.power_state) == ("SHUTOFF", 4)
    assert nova.fence(power_off=False).off("runs") == f"server {ident} is SHUTOFF"


def test_what_its_owner_stopped_is_off(nova: Nova, admin: User) -> None:
    ident = admin.boot("stopped")
    admin.act(ident, {"os-stop": None})
    admin.wait(ident, "SHUTOFF")
    assert nova.fence().off("stopped") == f"server {ident} is SHUTOFF"


def test_a_server_that_was_deleted_is_off(nova: Nova, admin: User) -> None:
    ident = admin.boot("deleted")
    admin.delete(ident)
    assert nova.fence().off("deleted") == f"server {ident} is DELETED"
    ident = admin.boot("deleted")  # and another of its name is not
    with pytest.raises(errors.Refused, match=f"{ident} is ACTIVE"):
        nova.fence(power_off=False).off("deleted")


def test_only_administrators_are_told_of_deleted_servers(nova: Nova) -> None:
    demo = nova.user("demo")
    demo.delete(demo.boot("deleted"))
    with pytest.raises(errors.Refused, match="No server is named deleted"):
        nova.fence("demo").off("deleted")


def test_what_can_not_be_stopped_now_is_not_off(nova: Nova, admin: User) -> None:
    ident = admin.boot("paused")
    admin.act(ident, {"pause": None})
    admin.wait(ident, "PAUSED")
    with pytest.raises(errors.Unanswered, match="is still PAUSED"):
        nova.fence(timeout_s=2.0).off("paused")


def test_names_have_to_be_of_one_server(nova: Nova, admin: User) -> None:
    with pytest.raises(errors.Refused, match="No server is named nobody"):
        nova.fence().off("nobody")
    for _ in range(2):
        admin.boot("twin")
    with pytest.raises(errors.Refused, match="2 servers are named twin"):
        nova.fence().off("twin")
    admin.boot("twin.example")
    with pytest.raises(errors.Refused, match=r"No server is named twin\.exampl"):
        nova.fence().off("twin.exampl")


def test_a_nova_or_a_keystone_that_is_down_is_no_proof(
    nova: Nova, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = NovaOptions(
        auth_url=f"http://127.0.0.1:{port()}/v3", username="u", password="p", project_name="p"
    )
    with pytest.raises(errors.Unanswered):
        NovaFence(away).off("late")
    ident = admin.boot("late")
    with monkeypatch.context() as patch, nova.hung(), pytest.raises(errors.Unanswered):
        patch.setattr(clients, "ANSWER_S", 1.0)
        nova.fence().off("late")
    assert nova.fence().off("late") == f"server {ident} is SHUTOFF"


def test_who_may_not_ask_is_refused(nova: Nova) -> None:
    wrong = nova.account("demo")
    stranger = Client(type(wrong)(auth_url=wrong.auth_url, username="demo", password="wrong"))
    with pytest.raises(errors.Refused):
        stranger.named("runs")


def test_administrators_are_told_hypervisors(nova: Nova, admin: User) -> None:
    names = {"on1": HYPERVISORS[0], "also1": HYPERVISORS[0], "on2": HYPERVISORS[1]}
    for name, hypervisor in names.items():
        admin.boot(name, hypervisor)
    found = {name: nova.client().named(name)[0].hypervisor for name in names}
    assert found == names


def test_others_are_told_which_are_on_one(nova: Nova, admin: User) -> None:
    demo = nova.user("demo")
    group = demo.apart()
    idents = [demo.boot("a", group=group), demo.boot("b", group=group), demo.boot("c")]
    told = [server.hypervisor for ident in idents if (server := demo.client.server(ident))]
    true = [server.hypervisor for ident in idents if (server := admin.client.server(ident))]
    assert set(true) == set(HYPERVISORS) and len(set(told)) == 2
    assert len(set(zip(told, true, strict=True))) == 2
    assert not set(told) & set(HYPERVISORS)
    assert nova.client("demo").named("a")[0].hypervisor == told[0]


def test_a_conductor_learns_where_hosts_are(nova: Nova, admin: User, tmp_path: Path) -> None:
    servers = {"node1": HYPERVISORS[0], "node2": HYPERVISORS[1]}
    idents = {name: admin.boot(name, hypervisor) for name, hypervisor in servers.items()}
    path = tmp_path / "dolium.sqlite"
    upgrade.upgrade(path)
    store = Sqlite(path)
    known = nova.account()
    config = conf.load(
        placing={"hypervisors": "nova"},
        fence_nova={
            "auth_url": known.auth_url,
            "username": known.username,
            "password": known.password,
            "project_name": known.project_name,
        },
    )
    conductor = Conducting(config, store, "deployment", LocalHosts()).conductor

    def found() -> dict[str, str | None]:
        with store.read() as connection:
            return {host.name: host.hypervisor for host in hosts.all_of_them(connection)}

    def hello(name: str, boot: str) -> None:
        inventory = Inventory(hostname=name, cpus=1, memory_mib=999, disk_gib=9)
        link = Hosts(store, SystemClock(), conf.Placing(), "deployment")
        link.hello(Hello(host=name, boot=boot, inventory=inventory))

    hello("node1", "one")
    conductor.start()
    try:
        until(lambda: found() == {"node1": "big1"}, "nothing was found")
        hello("node2", "one")
        hello("metal", "one")
        until(lambda: found() == {**servers, "metal": None}, "a new host was not asked for")
        admin.act(idents["node1"], {"os-migrateLive": {"host": "big2", "block_migration": "auto"}})
        until(lambda: nova.client().named("node1")[0].hypervisor == "big2", "it did not move")
        hello("node1", "two")
        until(lambda: found()["node1"] == "big2", "its new start was not noticed")
    finally:
        conductor.stop()
        store.close()
