"""Servers in states between on and off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dolium import errors
from dolium.clients.account import account
from dolium.clients.nova import Nova
from dolium.drivers.fence.nova import NovaFence, NovaOptions
from tests.drivers.fence.nova import FakeNova

# keystoneauth1 looks for osprofiler, which loads webob.
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    made = FakeNova()
    yield made
    made.close()


def fence(nova: FakeNova, timeout_s: float = 20.0) -> NovaFence:
    options = NovaOptions(
        auth_url=nova.url, username="u", password="p", project_name="p", timeout_s=timeout_s
    )
    return NovaFence(options, sleep=lambda _: None)


def test_a_stop_takes_a_while(nova: FakeNova) -> None:
    ident = nova.add("host1")
    nova.slow = 5
    assert fence(nova).off("host1") == f"server {ident} is SHUTOFF"
    assert nova.stops == [ident]


def test_a_server_that_does_not_stop(nova: FakeNova) -> None:
    nova.add("host1")
    nova.slow = 50
    with pytest.raises(errors.Unanswered, match="is still ACTIVE"):
        fence(nova).off("host1")


def test_a_server_on_its_way_up_is_not_off(nova: FakeNova) -> None:
    ident = nova.add("host1", "SHUTOFF", 4, "powering-on")
    nova.stops.append(ident)  # as if somebody else had
    nova.slow = 50
    with pytest.raises(errors.Unanswered):
        fence(nova).off("host1")


def test_deleted_servers_run_nothing_unless_another_has_the_name(nova: FakeNova) -> None:
    ident = nova.add("host1", "DELETED", 0)
    assert fence(nova).off("host1") == f"server {ident} is DELETED"
    nova.add("host1")
    nova.slow = 50
    with pytest.raises(errors.Unanswered):
        fence(nova).off("host1")


def test_two_servers_of_a_name_prove_nothing(nova: FakeNova) -> None:
    nova.add("host1", "SHUTOFF", 4)
    nova.add("host1", "SHUTOFF", 4)
    with pytest.raises(errors.Refused, match="2 servers are named host1"):
        fence(nova).off("host1")


def test_where_a_server_runs_is_told_by_name_to_administrators(nova: FakeNova) -> None:
    number = {"hostId": "c0ffee"}
    nova.add("shown", more=number | {"OS-EXT-SRV-ATTR:hypervisor_hostname": "big1"})
    nova.add("hidden", more=number)
    nova.add("nowhere", more={"hostId": ""})
    asked = Nova(
        account(NovaOptions(auth_url=nova.url, username="u", password="p", project_name="p"))
    )
    names = ("shown", "hidden", "nowhere")
    assert [asked.named(name)[0].hypervisor for name in names] == ["big1", "c0ffee", ""]


def test_it_has_to_be_configured() -> None:
    with pytest.raises(errors.StartError, match="auth_url is not set"):
        NovaFence(NovaOptions(auth_url="", username="", password="", project_name=""))
