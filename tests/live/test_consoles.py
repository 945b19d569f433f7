"""Terminals of containers, by the clients that people have: typing, Ctrl-C, window sizes, exit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.typing import Origin, Subprotocol

from tests.live.installation import Installation, Owned
from tests.live.place import until
from tests.live.terminals import ask, connect, running, status, terminal, works

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

pytestmark = pytest.mark.live

EXEC = ("zun exec -i web sh", "openstack appcontainer exec --interactive web sh")
ATTACH = ("zun attach box", "openstack appcontainer attach box")


@pytest.fixture(scope="module")
def web(installation: Installation) -> Iterator[str]:
    """A container that runs."""
    with installation.client() as client:
        owned = Owned(client)
        uuid = owned.create("web")
        owned.until(uuid, "Running")
        yield uuid
        owned.delete(uuid)


@pytest.fixture
def box(owned: Owned) -> Iterator[str]:
    """A container whose first process is a shell in a terminal."""
    uuid = owned.create("box", command=["sh"], interactive=True, tty=True)
    owned.until(uuid, "Running")
    yield uuid
    owned.delete(uuid)


@pytest.mark.parametrize("command", EXEC)
def test_exec_in_a_terminal(installation: Installation, web: str, command: str) -> None:
    with terminal(installation.rc("demo"), *command.split()) as shell:
        works(shell)


@pytest.mark.parametrize("command", ATTACH)
def test_attach(installation: Installation, owned: Owned, box: str, command: str) -> None:
    with terminal(installation.rc("demo"), *command.split()) as shell:
        works(shell)
    assert owned.until(box, "Stopped")["status_detail"].startswith("Exited(3)")


def test_run_in_a_terminal(installation: Installation, owned: Owned) -> None:
    with terminal(installation.rc("demo"), *"zun run -i --name fresh cirros sh".split()) as shell:
        works(shell)
    owned.delete(owned.client.ask("GET", "/v1/containers/fresh")["uuid"])


# --- addresses -------------------------------------------------------------------------------


def heard(socket: ClientConnection, text: str) -> str:
    """What comes, until this is in it."""
    got = ""
    while text not in got:
        piece = socket.recv(60)
        assert isinstance(piece, bytes)
        got += piece.decode()
    return got


def closed(socket: ClientConnection) -> tuple[int, str]:
    """How it ends."""
    with pytest.raises(ConnectionClosedOK) as ended:
        while True:
            socket.recv(60)
    assert ended.value.rcvd
    return ended.value.rcvd.code, ended.value.rcvd.reason


def test_a_console_speaks_as_the_contract_says(owned: Owned, web: str) -> None:
    asked = ask(owned, web, "sh")
    assert list(asked) == ["output", "exit_code", "exec_id", "proxy_url"]
    assert asked["output"] is asked["exit_code"] is None
    assert re.fullmatch("[0-9a-f]{64}", asked["exec_id"])
    assert re.fullmatch(
        rf"ws://127\.0\.0\.1:6784/\?token=[\w-]+&uuid={web}&exec_id={asked['exec_id']}",
        asked["proxy_url"],
    )
    size = f"/v1/containers/{web}/execute_resize?exec_id={asked['exec_id']}&h=30&w=100"
    refused, body = owned.client.raw("POST", size)
    assert (refused, b"container.invalid" in body) == (400, True)  # it does not run yet
    with connect(
        asked["proxy_url"], subprotocols=[Subprotocol("binary"), Subprotocol("base64")]
    ) as socket:
        assert socket.subprotocol == "binary"
        assert owned.client.raw("POST", size) == (200, b"null")
        socket.send(b"stty size\r")
        heard(socket, "30 100")
        socket.send(b"exit\r")
        assert closed(socket) == (1000, "Target closed")
    assert status(asked["proxy_url"]) == 401  # it was used


def test_addresses_that_let_nobody_in(owned: Owned, web: str) -> None:
    url = ask(owned, web)["proxy_url"]
    other = "0" * 36
    token = re.search("token=([^&]*)", url)
    assert token
    assert status(url.replace(token[1], "x" * 43)) == 401
    assert status(url.replace(web, "11111111-1111-4111-8111-111111111111")) == 401
    assert status(url.replace(web, other)) == 401
    assert status(url.partition("&exec_id")[0]) == 401
    assert status(url.partition("?")[0]) == 401
    assert status(url, Origin="https://evil.example") == 403
    assert status(url, Origin="null") == 403
    with connect(url, origin=Origin("http://127.0.0.1:6784")) as socket:
        assert socket.subprotocol is None  # none of the above has used it up
        socket.send(b"echo $((1 + 1))x\r")
        heard(socket, "2x")


def test_what_can_be_attached_to(owned: Owned, web: str) -> None:
    refused, body = owned.client.raw("GET", f"/v1/containers/{web}/attach")
    told = json.loads(body)["errors"][0]
    assert (refused, told["code"]) == (400, "container.no-interactive-flag")
    assert owned.client.raw("POST", f"/v1/containers/{web}/resize?h=1&w=1")[0] == 400


def test_attach_without_a_terminal(owned: Owned) -> None:
    uuid = owned.create("plain", command=["sh"], interactive=True, tty=False)
    owned.until(uuid, "Running")
    url = owned.client.ask("GET", f"/v1/containers/{uuid}/attach")
    with connect(url) as socket:
        socket.send(b"echo out; echo err >&2; exit 4\n")
        said = heard(socket, "err\n")
        said = said if "out" in said else said + heard(socket, "out\n")
        assert sorted(said.split()) == ["err", "out"]
    owned.until(uuid, "Stopped")
    owned.delete(uuid)


# --- broken neighbours -----------------------------------------------------------------------


def test_who_leaves_takes_the_command_along(owned: Owned, web: str) -> None:
    with connect(ask(owned, web, "sleep+1234")["proxy_url"]):
        until(lambda: running(owned, web, "sleep 1234"), "it runs")
    until(lambda: not running(owned, web, "sleep 1234"), "it was hung up")


def test_a_command_that_does_not_care_is_killed(owned: Owned, web: str) -> None:
    command = "sh+-c+%22trap+''+HUP;+while+true;+do+sleep+0.0123;+done%22"
    with connect(ask(owned, web, command)["proxy_url"]):
        until(lambda: running(owned, web, "0.0123"), "it runs")
    until(lambda: not running(owned, web, "0.0123"), "it was killed")


def test_the_container_goes(owned: Owned, box: str) -> None:
    with connect(owned.client.ask("GET", f"/v1/containers/{box}/attach")) as socket:
        owned.act(box, "kill", signal="SIGKILL")
        assert closed(socket) == (1000, "Target closed")
    owned.until(box, "Stopped")
    url = f"/v1/containers/{box}/attach"
    assert owned.client.raw("GET", url)[0] == 409


def test_tokens_are_nowhere(installation: Installation, owned: Owned, web: str) -> None:
    url = ask(owned, web)["proxy_url"]
    token = re.search("token=([^&]*)", url)
    assert token
    with connect(url):
        pass
    assert token[1] not in installation.tail(100_000)
    assert installation.rows("SELECT * FROM consoles WHERE token_sha256 = ?", token[1]) == []


def test_a_killed_dolium_leaves_no_command(installation: Installation, web: str) -> None:
    with installation.client() as client:
        owned = Owned(client)
        with connect(ask(owned, web, "sleep+4321")["proxy_url"]) as socket:
            until(lambda: running(owned, web, "sleep 4321"), "it runs")
            installation.kill()
            with pytest.raises(ConnectionClosedError):
                socket.recv(60)
    installation.up()
    with installation.client() as client:
        owned = Owned(client)
        owned.until(web, "Running")
        top = f"/v1/containers/{web}/top"
        until(lambda: owned.client.raw("GET", top)[0] == 200, "its host answers again")
        until(lambda: not running(owned, web, "sleep 4321"), "it was hung up")
