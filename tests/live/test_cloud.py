"""A cloud of many processes and hosts, used as people use it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from dolium.model.registry import Login
from tests import registries
from tests.databases import MariaDb
from tests.live import place
from tests.live.clients import Clients
from tests.live.cloud import Cloud, cloud
from tests.live.installation import IMAGE, Owned
from tests.live.place import until

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def made() -> Iterator[Cloud]:
    if why := place.missing() or MariaDb.missing():
        pytest.skip(f"a whole cloud: {why}")
    with cloud(MariaDb, hosts=2) as made:
        yield made


@pytest.fixture(autouse=True)
def told(made: Cloud, request: pytest.FixtureRequest) -> Generator[None]:
    yield
    if request.session.testsfailed:
        print(made.tail())


def test_people_use_it_as_any_other(made: Cloud) -> None:
    admin, demo = Clients(made.rc("admin")), Clients(made.rc())
    listed = admin.appcontainer("host list")
    assert "h1" in listed and "h2" in listed
    assert admin.appcontainer("service list").count("up") >= 2
    demo.zun("run", "--name", "hello", IMAGE, "echo", "hi there")
    with made.client(api=1) as client:
        owned = Owned(client)
        uuid = client.ask("GET", "/v1/containers")["containers"][0]["uuid"]
        owned.until(uuid, "Stopped")
    assert "hi there" in demo.zun("logs", "hello")
    demo.zun("delete", "hello")


def test_what_one_api_was_told_the_other_knows_and_any_host_does(made: Cloud) -> None:
    with made.client(api=0) as one, made.client(api=1) as other:
        mine, theirs = Owned(one), Owned(other)
        uuids = [mine.create(f"c{n}") for n in range(4)]
        for uuid in uuids:
            theirs.until(uuid, "Running")
        running = sorted(name for host in made.hosts for name in host.running())
        assert len(running) == len(uuids), running
        theirs.delete(*uuids)
    assert [name for host in made.hosts for name in host.running()] == []


def test_a_password_that_one_api_was_told_reaches_the_host_that_pulls(made: Cloud) -> None:
    host, login = made.hosts[0], Login(domain="127.0.0.1:5004", username="u", password="hunter22")
    with (
        registries.serving(host.place, 5004, login),
        made.client("admin", api=0) as one,
        made.client("admin", api=1) as other,
    ):
        registries.push(str(host.engine), IMAGE, f"{login.domain}/app", login)
        body = {"name": "team", "domain": login.domain, "username": "u", "password": "hunter22"}
        one.ask("POST", "/v1/registries", {"registry": body})
        owned = Owned(other)
        uuid = owned.create("private", image="app:1", registry="team", host=host.name)
        owned.until(uuid, "Running")
        owned.delete(uuid)
        assert one.raw("DELETE", "/v1/registries/team")[0] == 204
    for each in [*made.processes, *made.hosts]:
        assert "hunter22" not in each.tail(10_000)


def test_an_image_is_asked_for_on_a_host(made: Cloud) -> None:
    host = made.hosts[1].name
    with made.client("admin") as client:
        uuid = client.ask("POST", "/v1/images", {"repo": IMAGE, "host": host})["uuid"]
        # No registry answers here, and then the present image serves.
        until(lambda: client.ask("GET", f"/v1/images/{uuid}")["image_id"], "the host has it")


def test_an_agent_starts_on_a_full_disk_and_says_what_is_wrong(made: Cloud) -> None:
    host = made.hosts[1]
    with made.client("admin") as client:
        owned = Owned(client)
        before = owned.create("before", host=host.name)
        owned.until(before, "Running")
        host.kill()
        host.fill()
        try:
            host.start().ready()
            sentence = "The agent's journal has no space left"
            until(lambda: sentence in host.log.read_text(), "it says so")
            assert "Traceback" not in host.log.read_text()
        finally:
            host.clear()
        after = owned.create("after", host=host.name)
        owned.until(after, "Running")
        assert owned.show(before)["status"] == "Running"
        owned.delete(before, after)


def test_down_takes_back_what_an_agent_changed(made: Cloud) -> None:
    host = made.hosts[0]
    with made.client("admin") as client:
        owned = Owned(client)
        uuid = owned.create("stays", host=host.name)
        owned.until(uuid, "Running")
        assert "stop it first" in host.said("down", status=1)
        host.end()
        assert len(host.running()) == 1, "it outlives the agent"
        assert "an engine, 1 containers" in host.said("down")
        assert host.place.named("dockerd") + host.place.named("containerd") == []
        assert [line for line in host.place.run("nft", "list", "tables").splitlines() if line] == []
        links = host.place.run("ip", "-br", "link").splitlines()
        assert sorted(line.split()[0].partition("@")[0] for line in links) == ["lo", "up0"]
        assert host.place.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
        assert "nothing was left" in host.said("down")
        host.start().ready()
        owned.until(uuid, "Running")
        until(lambda: len(host.running()) == 1, "it runs again")
        owned.delete(uuid)
