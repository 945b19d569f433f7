"""What can be done to a container that runs: files in and out, rebuilds, networks, limits, health;
with the client that people have, and with Dolium killed in the midst of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.live import matches
from tests.live.clients import Clients, listing, table
from tests.live.followed import counts, following
from tests.live.installation import IMAGE, Installation, Owned
from tests.live.place import until

pytestmark = pytest.mark.live

OTHER = "other:latest"
"""Another image, of the same content."""


@pytest.fixture(scope="module")
def demo(installation: Installation) -> Clients:
    return Clients(installation.rc("demo"))


def said(owned: Owned, uuid: str, command: str) -> str:
    """What a command inside prints."""
    done = owned.client.ask("POST", f"/v1/containers/{uuid}/execute", {"command": command})
    return str(done["output"])


def test_files_are_copied_in_and_out(demo: Clients, owned: Owned, tmp_path: Path) -> None:
    uuid = owned.create("files")
    owned.until(uuid, "Running")
    content = os.urandom(3_000_000)  # more than any other body may have
    (tmp_path / "x.bin").write_bytes(content)
    demo.zun("cp", str(tmp_path / "x.bin"), "files:/tmp")
    assert hashlib.sha256(content).hexdigest() in said(owned, uuid, "sha256sum /tmp/x.bin")
    (tmp_path / "out").mkdir()
    demo.zun("cp", "files:/tmp/x.bin", str(tmp_path / "out"))
    assert (tmp_path / "out" / "x.bin").read_bytes() == content
    missing = demo.zun("cp", "files:/nosuch%2F", str(tmp_path), status=1)
    assert "Path /nosuch%2F could not be found in the container (HTTP 404)" in missing
    owned.delete(uuid)


def test_a_file_is_given_with_a_container(demo: Clients, owned: Owned, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("given\n")
    mount = f"type=bind,source={tmp_path}/hello.txt,destination=/data/deep/hello.txt"
    made = table(demo.zun("run", "--name", "given", "--mount", mount, "cirros", "sleep", "9999"))
    uuid = made["uuid"]
    owned.until(uuid, "Running")
    assert "given" in demo.zun("exec", "given", "cat", "/data/deep/hello.txt")
    assert (
        said(owned, uuid, "sh -c 'echo more >>/data/deep/hello.txt; rm /data/deep/hello.txt'") == ""
    )
    owned.act(uuid, "rebuild")
    owned.until(uuid, "Running")
    assert said(owned, uuid, "cat /data/deep/hello.txt") == "given\n"
    owned.act(uuid, "kill")
    owned.until(uuid, "Stopped")
    owned.delete(uuid)


def test_a_rebuild_begins_anew_on_the_same_address(
    installation: Installation, demo: Clients, owned: Owned
) -> None:
    installation.docker("tag", IMAGE, OTHER)
    uuid = owned.create("anew")
    before = owned.until(uuid, "Running")
    said(owned, uuid, "touch /tmp/old")
    assert "has been accepted" in demo.zun("rebuild", "anew", "--image", OTHER)
    after = owned.until(uuid, "Running")
    assert after["addresses"] == before["addresses"]
    assert after["image"] == OTHER
    assert "old" not in said(owned, uuid, "ls /tmp")
    address = next(iter(before["addresses"].values()))[0]["addr"]
    assert address in said(owned, uuid, "ip addr")
    refused = demo.zun("rebuild", "anew", "--image-driver", "floppy")
    assert "Invalid input for field 'image_driver'" in refused
    owned.delete(uuid)


def test_a_rebuild_goes_on_after_a_kill(installation: Installation, owned: Owned) -> None:
    uuids = [owned.create(f"killed-{number}") for number in range(4)]
    for uuid in uuids:
        owned.until(uuid, "Running")
    for uuid in uuids:
        owned.act(uuid, "rebuild")
    installation.kill()
    installation.start()
    installation.ready()
    with installation.client() as client:
        again = Owned(client)
        for uuid in uuids:
            again.until(uuid, "Running")
            actions = client.ask("GET", f"/v1/containers/{uuid}/container_actions")
            last = actions["containerActions"][0]
            assert (last["action"], last["message"]) == ("rebuild", None)
        matches.soon(installation)
        again.delete(*uuids)


def links(owned: Owned, uuid: str) -> set[str]:
    return {line.split()[1].split(":")[0].split("@")[0] for line in _links(owned, uuid)}


def _links(owned: Owned, uuid: str) -> list[str]:
    return [each for each in said(owned, uuid, "ip -o link").splitlines() if each.strip()]


def test_off_the_network_and_on_again(
    installation: Installation, demo: Clients, owned: Owned
) -> None:
    uuid, peer = owned.create("moving"), owned.create("peer")
    before = owned.until(uuid, "Running")
    owned.until(peer, "Running")
    (network,) = before["addresses"]
    address = before["addresses"][network][0]["addr"]
    rows = listing(demo.zun("network-list", "moving"))
    assert [row["net_id"] for row in rows] == [network]
    assert address in str(rows)
    assert " 0% packet loss" in said(owned, peer, f"ping -c 1 -w 9 {address}")
    demo.zun("network-detach", "moving", "--network", network)
    shown = owned.until(uuid, "Running")
    assert shown["addresses"] == {}
    assert links(owned, uuid) == {"lo"}
    assert "100% packet loss" in said(owned, peer, f"ping -c 1 -w 2 {address}")
    matches.soon(installation)
    again = demo.zun("network-detach", "moving", "--network", network)
    assert f"Network '{network}' is not attached to container 'moving'. (HTTP 400)" in again
    owned.act(uuid, "reboot", timeout=5)  # it starts where it is, on none
    owned.until(uuid, "Running")
    assert links(owned, uuid) == {"lo"}
    demo.zun("network-attach", "moving", "--network", network)
    assert owned.until(uuid, "Running")["addresses"] == before["addresses"]
    assert " 0% packet loss" in said(owned, peer, f"ping -c 1 -w 9 {address}")
    matches.soon(installation)
    owned.act(uuid, "reboot", timeout=5)
    owned.until(uuid, "Running")
    assert " 0% packet loss" in said(owned, peer, f"ping -c 1 -w 9 {address}")
    owned.delete(uuid, peer)


def test_limits_are_changed_by_the_action_too(owned: Owned) -> None:
    uuid = owned.create("sized")
    owned.until(uuid, "Running")
    path = f"/v1/containers/{uuid}/resize_container?memory=48&cpu=0.2"
    status, body = owned.client.raw("POST", path)
    assert (status, b'"memory":"32"' in body) == (202, True)
    shown = owned.until(uuid, "Running")
    assert (shown["memory"], shown["cpu"]) == ("48", 0.2)

    def limited() -> bool:
        usage: dict[str, Any] = owned.client.ask("GET", f"/v1/containers/{uuid}/stats")
        return bool(usage["MEM LIMIT(MiB)"] == 48.0)

    until(limited, "the engine has the new limit")
    owned.delete(uuid)


def test_the_health_shows(owned: Owned) -> None:
    check = {"cmd": "test ! -e /tmp/ill", "interval": 1, "retries": 1, "timeout": 30}
    uuid = owned.create("checked", healthcheck=check)
    owned.until(uuid, "Running")
    until(lambda: owned.show(uuid)["status_detail"].endswith(" (healthy)"), "it is healthy")
    said(owned, uuid, "touch /tmp/ill")
    until(lambda: owned.show(uuid)["status_detail"].endswith(" (unhealthy)"), "it is ill")
    owned.delete(uuid)


def test_logs_and_events_go_on_over_a_restart_and_a_kill(
    installation: Installation, owned: Owned
) -> None:
    lines = 1000  # ten seconds: all that follows has begun before the first life ends
    rc = installation.rc("demo")
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    with following(rc, "events", "--since", "0", "--json") as events:
        uuid = owned.create("counts", command=counts(lines, 1), restart_policy=policy)
        with (
            following(rc, "logs", "-f", "counts") as log,
            following(rc, "logs", "-f", "-t", "--tail", "0", uuid) as stamped,
        ):
            for each, text in ((log, "60"), (stamped, "Z "), (events, uuid)):
                each.until(text)
            installation.kill()
            installation.start()
            installation.ready()
            assert (log.ends(), stamped.ends()) == (0, 0), log.complaints
            expected = [str(number) for number in range(1, lines + 1)] * 2
            assert log.lines == expected
            assert [line.split(" ")[1] for line in stamped.lines][-lines:] == expected[-lines:]
        with installation.client() as client:
            again = Owned(client)
            again.until(uuid, "Stopped")
            again.delete(uuid)
        events.until(uuid, '"what":"deleted"')  # others of this module were deleted too
        told = [json.loads(line) for line in events.lines]
    revisions = [each["revision"] for each in told]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
    its = [each for each in told if each["uuid"] == uuid]
    assert (its[0]["what"], its[-1]["what"]) == ("created", "deleted")


def test_a_log_is_told_to_its_own_project_and_as_text(
    installation: Installation, owned: Owned
) -> None:
    uuid = owned.create("said", command=["sh", "-c", "echo grün; printf last"])
    owned.until(uuid, "Stopped")
    with following(installation.rc("demo"), "logs", "--follow", "said") as log:
        assert log.ends() == 0
        assert log.lines == ["grün", "last"]
    with following(installation.rc("demo"), "logs", "said", "--tail", "1") as log:
        assert (log.ends(), log.lines) == (0, ["last"])
    with following(installation.rc("demo"), "logs", "nosuch") as log:
        assert log.ends() == 1
        assert "dolium: Container nosuch could not be found." in log.complaints
    owned.delete(uuid)


def test_nothing_is_left(installation: Installation, owned: Owned) -> None:
    owned.clear()
    matches.soon(installation)
