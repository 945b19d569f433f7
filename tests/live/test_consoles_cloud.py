"""Consoles of a cloud of several hosts: bytes over the agents' mutual TLS, and what may break."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from tests.databases import MariaDb
from tests.live import place
from tests.live.cloud import Cloud, Process, cloud
from tests.live.followed import counts, following
from tests.live.installation import Owned
from tests.live.place import until
from tests.live.terminals import ask, connect, running, status, terminal, works

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def made() -> Iterator[Cloud]:
    if why := place.missing() or MariaDb.missing():
        pytest.skip(f"a whole cloud: {why}")
    with cloud(MariaDb, hosts=2) as made:
        yield made


@pytest.fixture(scope="module")
def proxy(made: Cloud) -> Process:
    return made.proxy({}).start().ready()


@pytest.fixture(autouse=True)
def told(made: Cloud, proxy: Process, request: pytest.FixtureRequest) -> Generator[None]:
    yield
    if request.session.testsfailed:
        print(made.tail(), proxy.tail())


@pytest.fixture
def owned(made: Cloud) -> Iterator[Owned]:
    with made.client() as client:
        yield Owned(client)


@pytest.fixture(scope="module")
def web(made: Cloud) -> Iterator[str]:
    """Two containers, one on each host; this is one of them."""
    with made.client() as client:
        owned = Owned(client)
        uuids = [owned.create(name) for name in ("web", "other")]
        for uuid in uuids:
            owned.until(uuid, "Running")
        yield uuids[0]
        owned.delete(*uuids)


@pytest.mark.parametrize("name", ["web", "other"])
def test_exec_in_a_terminal_on_any_host(made: Cloud, web: str, name: str) -> None:
    with terminal(made.rc(), "zun", "exec", "-i", name, "sh") as shell:
        works(shell)


def test_run_and_attach(made: Cloud, owned: Owned) -> None:
    command = "openstack appcontainer run --interactive --name fresh cirros sh"
    with terminal(made.rc(), *command.split()) as shell:
        works(shell)
    owned.delete(owned.client.ask("GET", "/v1/containers/fresh")["uuid"])


def test_a_killed_proxy_leaves_no_command(proxy: Process, owned: Owned, web: str) -> None:
    with connect(ask(owned, web, "sleep+4321")["proxy_url"]) as socket:
        until(lambda: running(owned, web, "sleep 4321"), "it runs")
        proxy.kill()
        with pytest.raises(ConnectionClosedError):
            socket.recv(60)
    until(lambda: not running(owned, web, "sleep 4321"), "it was hung up")
    proxy.start().ready()


def test_a_log_goes_on_when_its_agent_is_killed(made: Cloud, owned: Owned) -> None:
    uuid = owned.create("counts", command=counts(400))
    with made.client("admin") as admin:
        until(lambda: admin.ask("GET", f"/v1/containers/{uuid}")["host"], "it is placed")
        name = admin.ask("GET", f"/v1/containers/{uuid}")["host"]
    host = next(each for each in made.hosts if each.name == name)
    with following(made.rc(), "logs", "-f", "counts") as log:
        log.until("100")
        host.kill()
        host.start().ready()
        assert log.ends() == 0, log.complaints
        assert log.lines == [str(number) for number in range(1, 401)]
    owned.delete(uuid)


def test_a_killed_agent_leaves_no_command(made: Cloud, owned: Owned, web: str) -> None:
    with made.client("admin") as admin:
        name = admin.ask("GET", f"/v1/containers/{web}")["host"]
    host = next(each for each in made.hosts if each.name == name)
    url = ask(owned, web)["proxy_url"]
    with connect(ask(owned, web, "sleep+4322")["proxy_url"]) as socket:
        until(lambda: running(owned, web, "sleep 4322"), "it runs")
        host.kill()
        with pytest.raises(ConnectionClosedOK, match="Target closed"):
            socket.recv(60)
    assert status(url) == 503
    host.start().ready()
    until(lambda: owned.client.raw("GET", f"/v1/containers/{web}/top")[0] == 200, "it answers")
    until(lambda: not running(owned, web, "sleep 4322"), "it was hung up")
