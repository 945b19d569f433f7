"""Capsules on a real engine, by the clients people have and by the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import matches
from tests.live.clients import Clients
from tests.live.installation import ENDS, IMAGE, Installation
from tests.live.place import until
from tests.perf import wire

pytestmark = pytest.mark.live

LEAST = {"requests": {"cpu": 0.1, "memory": 32}}


@pytest.fixture(scope="module")
def demo(installation: Installation) -> Clients:
    return Clients(installation.rc("demo"))


class Capsules:
    """Those of one person."""

    def __init__(self, client: wire.Client) -> None:
        self.client = client

    def create(self, name: str, *commands: list[str], **spec: Any) -> str:
        """One with a container for each command; returns its id at once."""
        some = [{"image": IMAGE, "command": each, "resources": LEAST} for each in commands]
        inits = [{"image": IMAGE, "resources": LEAST} | each for each in spec.pop("inits", [])]
        template = {
            "kind": "capsule",
            "metadata": {"name": name},
            "spec": {"containers": some, "initContainers": inits} | spec,
        }
        return str(self.client.ask("POST", "/v1/capsules", {"template": template})["uuid"])

    def show(self, ident: str) -> dict[str, Any]:
        """All there is to see."""
        shown: dict[str, Any] = self.client.ask("GET", f"/v1/capsules/{ident}")
        return shown

    def until(self, uuid: str, status: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a status; fails at once when it is an error instead."""

        def look() -> dict[str, Any] | None:
            shown = self.show(uuid)
            if shown["status"] == "Error" != status:
                raise AssertionError(f"{uuid} is in Error: {shown['status_reason']}")
            return shown if shown["status"] == status else None

        found = until(look, f"capsule {uuid} is {status}", seconds)
        assert found is not None
        return found

    def execute(self, uuid: str, command: str) -> str:
        """The output of a command in one container."""
        path = f"/v1/containers/{uuid}/execute"
        return str(self.client.ask("POST", path, {"command": command})["output"])

    def delete(self, *uuids: str) -> None:
        """Delete and wait until nothing is left of them."""
        for uuid in uuids:
            assert self.client.raw("DELETE", f"/v1/capsules/{uuid}")[0] in (204, 404)
        for uuid in uuids:
            path = f"/v1/capsules/{uuid}"
            until(lambda path=path: self.client.raw("GET", path)[0] == 404, f"{uuid} is gone", 60.0)


@pytest.fixture
def capsules(installation: Installation) -> Iterator[Capsules]:
    with installation.client() as client:
        yield Capsules(client)


def _box(installation: Installation, uuid: str) -> dict[str, Any]:
    (found,) = json.loads(installation.docker("inspect", f"dolium-{uuid}-1"))
    return dict(found)


def test_containers_share_a_network(installation: Installation, capsules: Capsules) -> None:
    serve = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    uuid = capsules.create("shares", serve, ENDS, inits=[{"command": ["true"]}])
    shown = capsules.until(uuid, "Running")
    web, other = shown["containers"]
    (address,) = (each["addr"] for each in shown["addresses"].popitem()[1] if each["version"] == 4)
    assert address in capsules.execute(other["uuid"], "ip addr")
    until(
        lambda: "hello" in capsules.execute(other["uuid"], "wget -qO- http://127.0.0.1:8080/"),
        "the other one answers on the loopback they share",
    )
    assert web["hostname"] == other["hostname"]
    assert [each["status"] for each in shown["init_containers"]] == ["Stopped"]
    assert capsules.client.ask("GET", "/v1/containers")["containers"] == []
    assert _box(installation, other["uuid"])["HostConfig"]["IpcMode"].startswith("container:")
    capsules.client.ask("PATCH", f"/v1/containers/{web['uuid']}", {"memory": 64, "cpu": 0.2})
    until(
        lambda: _box(installation, web["uuid"])["HostConfig"]["Memory"] == 64 << 20,
        "it has more memory",
    )
    assert (capsules.show(uuid)["memory"], capsules.show(uuid)["cpu"]) == ("96", 0.3)
    matches.soon(installation)
    capsules.delete(uuid)
    matches.soon(installation)
