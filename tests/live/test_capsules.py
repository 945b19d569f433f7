"""Capsules on a real engine, by the clients people have and by the API.

DOLIUM_KILLS is how many kills (2), DOLIUM_SEED when they come (a run says its own).
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import matches
from tests.live.clients import Clients
from tests.live.installation import ENDS, IMAGE, Installation
from tests.live.place import until
from tests.perf import wire

pytestmark = pytest.mark.live

KILLS = int(os.environ.get("DOLIUM_KILLS", "2"))
SEED = int(os.environ.get("DOLIUM_SEED", "0")) or random.randrange(1, 10**6)
TRIES = 5
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
            self.gone(uuid)

    def gone(self, uuid: str) -> None:
        """Wait until it can't be found."""
        path = f"/v1/capsules/{uuid}"
        until(lambda: self.client.raw("GET", path)[0] == 404, f"{uuid} is gone", 60.0)


@pytest.fixture
def capsules(installation: Installation) -> Iterator[Capsules]:
    with installation.client() as client:
        yield Capsules(client)


def _box(installation: Installation, uuid: str) -> dict[str, Any]:
    found = json.loads(installation.docker("inspect", f"dolium-{uuid}-1", check=False))
    return dict(found[0]) if found else {}


def test_containers_share_a_network(installation: Installation, capsules: Capsules) -> None:
    serve = ["sh", "-c", f"echo hello > /tmp/index.html; httpd -p 8080 -h /tmp; {ENDS[-1]}"]
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


def test_when_the_sandbox_dies_the_others_follow(
    installation: Installation, capsules: Capsules
) -> None:
    uuid = capsules.create("falls", ENDS, ENDS)
    shown = capsules.until(uuid, "Running")
    one = shown["containers"][0]["uuid"]
    before = _box(installation, one)["Id"]
    installation.docker("kill", f"dolium-{uuid}-1")
    until(lambda: _box(installation, one).get("Id", before) != before, "it is made anew", 60.0)
    after = capsules.until(uuid, "Running")
    assert after["addresses"] == shown["addresses"]
    matches.soon(installation)
    installation.docker("rm", "-f", f"dolium-{uuid}-1")
    matches.soon(installation)
    assert capsules.until(uuid, "Running")["addresses"] == shown["addresses"]
    capsules.delete(uuid)


def test_a_sandbox_may_have_been_ready_before(
    installation: Installation, capsules: Capsules
) -> None:
    def ready() -> str:
        listing = ("ps", "-q", "--no-trunc", "--filter", "name=dolium-ready-")
        return installation.docker(*listing).strip()

    first = capsules.create("first", ENDS)
    capsules.until(first, "Running")
    for _ in range(TRIES):
        handle = until(ready, "a sandbox is ready")
        second = capsules.create("second", ENDS, ENDS)
        shown = capsules.until(second, "Running")
        if _box(installation, second)["Id"] == handle:
            break
        capsules.delete(second)  # the engine may show it a moment before the agent knows of it
    else:
        pytest.fail("no capsule got a sandbox that was ready")
    (asks,) = capsules.show(first)["containers"]
    (answers, _) = shown["containers"]
    matches.soon(installation)

    assert " 0% packet loss" in capsules.execute(asks["uuid"], "ping -c 1 second")
    assert " 0% packet loss" in capsules.execute(answers["uuid"], "ping -c 1 first")
    installation.docker("kill", f"dolium-{second}-1")
    until(lambda: _box(installation, second)["State"]["Running"], "it runs again")
    matches.soon(installation)
    (answers, _) = capsules.until(second, "Running")["containers"]
    assert capsules.show(second)["addresses"] == shown["addresses"]
    assert " 0% packet loss" in capsules.execute(answers["uuid"], "ping -c 1 first")
    capsules.delete(first, second)
    matches.soon(installation)


def test_what_fails_is_told_and_leaves_nothing(
    installation: Installation, capsules: Capsules
) -> None:
    made = [
        capsules.create("stumbles", ENDS, inits=[{"command": ["false"]}], restartPolicy="Never"),
        capsules.create("succeeds", ["true"], ["true"], restartPolicy="Never"),
        capsules.create("fails", ["true"], ["false"], restartPolicy="Never"),
    ]
    found = capsules.until(made[0], "Error")
    assert "Init container capsule-stumbles-" in found["status_reason"]
    assert found["status_reason"].endswith("ended with 1")
    assert found["init_containers"][0]["status_detail"].startswith("Exited(1)")
    capsules.until(made[1], "Succeeded")
    capsules.until(made[2], "Failed")
    matches.soon(installation)
    capsules.delete(*made)
    matches.soon(installation)


def test_killed_at_any_moment(installation: Installation) -> None:
    """Dolium dies while capsules are made, run and are deleted: none is lost, nothing is left."""
    rng = random.Random(SEED)
    print(f"DOLIUM_SEED={SEED}")
    alive: list[str] = []
    for turn in range(KILLS):
        with installation.client() as client:
            mine = Capsules(client)
            alive.append(mine.create(f"k{turn}", ENDS, ENDS, inits=[{"command": ["true"]}]))
            if len(alive) > 2:
                assert client.raw("DELETE", f"/v1/capsules/{alive.pop(0)}")[0] == 204
            time.sleep(rng.uniform(0.0, 1.5))
        installation.kill()
        if turn % 2:
            for pid in installation.place.named("dockerd")[:1]:
                installation.place.kill(pid)
        installation.start()
        installation.ready()
    with installation.client() as client:
        mine = Capsules(client)
        for uuid in alive:
            mine.until(uuid, "Running", 120.0)
        matches.soon(installation, seconds=120.0)
        mine.delete(*alive)
    matches.soon(installation)
