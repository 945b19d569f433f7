"""How far a container is from the host: limits, privileges, runtimes; and where secrets are not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.installation import Installation, Owned
from tests.live.place import Place, until

pytestmark = pytest.mark.live

DEFAULT_CAPABILITIES = 0x00000000A80425FB
"""What Docker gives a container that nobody gave more."""

GVISOR = pytest.mark.skipif(shutil.which("runsc") is None, reason="needs runsc")

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def box(installation: Installation) -> Iterator[dict[str, Any]]:
    """A running container of a member, as Docker shows it."""
    with installation.client() as client:
        owned = Owned(client)
        environment = {"MYSQL_ROOT_PASSWORD": PASSWORD}
        uuid = owned.create("box", cpu=0.25, memory="64", environment=environment)
        owned.until(uuid, "Running")
        (shown,) = json.loads(installation.docker("inspect", f"dolium-{uuid}-1"))
        yield shown | {"uuid": uuid}
        owned.delete(uuid)


def execute(owned: Owned, uuid: str, command: str) -> str:
    answer = owned.client.ask("POST", f"/v1/containers/{uuid}/execute", {"command": command})
    return str(answer["output"])


def limit(place: Place, pid: int, controller: str, old: str, new: str) -> str:
    """A limit as the kernel has it: file `old` of control groups v1, `new` of v2."""
    groups = place.seen(f"/proc/{pid}/cgroup").read_text().splitlines()
    trees = {line.split(":")[1]: line.split(":")[2] for line in groups}
    for names, path in trees.items():
        if controller in names.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}/{old}").read_text().strip()
    return Path(f"/sys/fs/cgroup{trees['']}/{new}").read_text().strip()


# --- limits ------------------------------------------------------------------------------------


def test_limits_in_the_kernel(installation: Installation, box: dict[str, Any]) -> None:
    place, pid = installation.place, box["State"]["Pid"]
    quota = limit(place, pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
    assert quota == "25000"  # of 100000 microseconds: a quarter of a CPU
    memory = limit(place, pid, "memory", "memory.limit_in_bytes", "memory.max")
    assert memory == str(64 * 2**20)
    assert limit(place, pid, "pids", "pids.max", "pids.max") == "512"


def test_no_more_memory_than_promised(owned: Owned) -> None:
    eats = "x=$(head -c 200000000 /dev/zero | tr '\\000' a); echo ${#x}"
    uuid = owned.create("eats", command=["sh", "-c", eats], cpu=1, memory="32")
    assert owned.until(uuid, "Stopped")["status_detail"].startswith("Exited(137) ")
    owned.delete(uuid)


def test_no_more_processes_than_the_limit(owned: Owned) -> None:
    forks = "i=0; while [ $i -lt 600 ]; do sleep 300 & i=$((i+1)); done; echo $i"
    uuid = owned.create("forks", command=["sh", "-c", forks], cpu=1, memory="512")
    assert owned.until(uuid, "Stopped", "Running")
    owned.until(uuid, "Stopped")
    assert "can't fork" in owned.client.ask("GET", f"/v1/containers/{uuid}/logs")
    owned.delete(uuid)


# --- privileges --------------------------------------------------------------------------------


def test_privileges_are_dockers_default_and_can_not_grow(owned: Owned, box: dict[str, Any]) -> None:
    text = execute(owned, box["uuid"], "cat /proc/1/status")
    status = dict(re.findall(r"^(\w+):\s+(\S+)", text, re.MULTILINE))
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for name in ("CapBnd", "CapPrm", "CapEff"):
        assert int(status[name], 16) == DEFAULT_CAPABILITIES, name
    assert int(status["CapAmb"], 16) == 0


def test_what_is_the_hosts_stays_the_hosts(owned: Owned, box: dict[str, Any]) -> None:
    uuid = box["uuid"]
    assert "permission denied" in execute(owned, uuid, "mount -t tmpfs none /tmp")
    assert "Read-only file system" in execute(
        owned, uuid, "sh -c 'echo 1 >/proc/sys/vm/swappiness'"
    )
    assert "Operation not permitted" in execute(owned, uuid, "unshare -n true")
    assert not box["Mounts"]
    assert box["HostConfig"]["NetworkMode"].startswith("dolium-")


def test_nobody_gets_privileged(owned: Owned, installation: Installation) -> None:
    body = json.dumps({"image": "cirros", "privileged": True}).encode()
    assert owned.client.raw("POST", "/v1/containers", body)[0] == 403
    with installation.client("admin") as admin:
        assert admin.raw("POST", "/v1/containers", body)[0] == 403


# --- secrets -----------------------------------------------------------------------------------


def secrets(installation: Installation) -> list[str]:
    """All that nobody may find: passwords of people and services, a token, keys."""
    folder = installation.place.seen(installation.state / "keystone")
    found = [str(word) for word in json.loads((folder / "passwords.json").read_text()).values()]
    found += [path.read_text().strip() for path in folder.glob("*-keys/*")]
    return [*found, installation.token(), PASSWORD]


def test_no_secret_in_logs_and_command_lines(
    installation: Installation, box: dict[str, Any]
) -> None:
    hidden = secrets(installation)
    assert len(hidden) >= 8
    with installation.client(known="gAAAAABnot-a-valid-token") as client:
        assert client.raw("GET", "/v1/containers")[0] == 401
    place = installation.place
    logs = [path for path in place.seen(installation.state).rglob("*.log") if path.is_file()]
    logs.append(installation.log)
    assert {"dolium.log", "keystone.log", "dockerd.log"} <= {path.name for path in logs}
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [word for word in hidden if word in text], path
        assert not re.search(r"gAAAA[\w-]{8}", text), path
    lines = [" ".join(line) for line in place.processes().values()]
    for line in lines:
        assert not [word for word in hidden if word in line], line.split()[0]


def test_files_are_their_owners_only(installation: Installation) -> None:
    state = installation.place.seen(installation.state)
    files = [path for path in state.iterdir() if path.is_file() and path.name != "lock"]
    assert {"openrc", "clouds.yaml", "dolium.sqlite", "dolium.log"} <= {p.name for p in files}
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []
    for name in ("keystone", "agent", "engine"):
        assert not (state / name).stat().st_mode & 0o077, name
    for path in (state / "agent").glob("journal*"):
        assert not path.stat().st_mode & 0o077, path.name
    assert not installation.socket.stat().st_mode & 0o077


# --- runtimes ----------------------------------------------------------------------------------


@GVISOR
def test_an_administrator_chooses_the_runtime(installation: Installation) -> None:
    with installation.client("admin") as client:
        owned = Owned(client)
        uuid = owned.create("sandboxed", runtime="runsc", memory="128")
        assert owned.until(uuid, "Running")["runtime"] == "runsc"
        assert "gVisor" in execute(owned, uuid, "dmesg")
        owned.delete(uuid)
        unknown = owned.create("unknown", runtime="nosuch")
        reason = owned.until(unknown, "Error")["status_reason"]
        assert reason.startswith("There are not enough hosts available")
        owned.delete(unknown)


def _cpus(owned: Owned, uuid: str) -> set[str]:
    told = execute(owned, uuid, "grep Cpus_allowed_list /proc/1/status").split()[1]
    found: set[str] = set()
    for part in told.split(","):
        first, _, last = part.partition("-")
        found.update(map(str, range(int(first), int(last or first) + 1)))
    return found


def test_dedicated_cpus_are_one_containers_alone(installation: Installation) -> None:
    """It restarts Dolium with another configuration."""
    installation.down()
    installation.configure({"place": {"enable_cpu_pinning": "true"}})
    installation.up()
    with installation.client() as client:
        owned = Owned(client)
        shared = owned.create("shared")
        owned.until(shared, "Running")
        every = _cpus(owned, shared)
        if len(every) < 2:
            owned.delete(shared)
            pytest.skip("this machine has one CPU")
        alone = owned.create("alone", cpu=1, cpu_policy="dedicated")
        owned.until(alone, "Running")
        (own,) = _cpus(owned, alone)
        until(lambda: _cpus(owned, shared) == every - {own}, "the other one is moved off")
        later = owned.create("later")
        owned.until(later, "Running")
        assert own not in _cpus(owned, later)
        owned.delete(alone)
        until(lambda: _cpus(owned, shared) == _cpus(owned, later) == every, "they come back")
        owned.delete(shared, later)


@GVISOR
def test_tenants_get_the_runtime_that_the_operator_set(installation: Installation) -> None:
    """The last one: it restarts Dolium with another configuration."""
    installation.down()
    installation.configure({"engine": {"tenant_runtime": "runsc"}})
    installation.up()
    with installation.client() as client:
        owned = Owned(client)
        refused = json.dumps({"image": "cirros", "runtime": "runc"}).encode()
        assert client.raw("POST", "/v1/containers", refused)[0] == 403
        uuid = owned.create("tenant", memory="128")
        assert "runtime" not in owned.until(uuid, "Running")
        assert "gVisor" in execute(owned, uuid, "dmesg")
        owned.delete(uuid)
