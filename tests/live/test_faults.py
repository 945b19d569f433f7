"""What goes wrong on real machines: each has a clear answer, and heals where healing is possible.

One Dolium goes through all of it, in this order, on a small file system of its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.live import matches
from tests.live.installation import API, ENDS, IMAGE, Installation, Owned
from tests.live.place import Place, environment, until
from tests.perf import wire

pytestmark = pytest.mark.live

OPTIONS = {"DEFAULT": {"min_free_mib": "16"}}
STATE_MIB = 192
KEYSTONE = ("-m", "dolium.beside.keystone_server")
IGNORES = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


def keystone(place: Place) -> int:
    """The one Keystone's number."""

    def found() -> list[int]:
        return [pid for pid, line in place.processes().items() if tuple(line[1:3]) == KEYSTONE]

    return _only("Keystone", found)


def daemon(place: Place, name: str) -> int:
    """The one daemon's number."""
    return _only(name, lambda: place.named(name))


def _only(name: str, found: Callable[[], list[int]]) -> int:
    """The one process there is: a child bears its parent's name until it is another program."""

    def alone() -> int:
        pids = found()
        return pids[0] if len(pids) == 1 else 0

    return until(alone, f"there is one process of {name}")


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody else has the port."""
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


# --- it can't start --------------------------------------------------------------------------


def test_without_root_it_says_what_to_type(machine: Place) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    dolium = str(Path(sys.executable).with_name("dolium"))
    up = machine.command(*nobody, dolium, "up", "--state-dir", "/tmp/never-made")
    done = subprocess.run(up, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 1
    assert "run `sudo dolium up`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("port", "whose"), [(5000, "127.0.0.1"), (API[1], "[api] port")])
def test_a_port_in_use_is_named(machine: Place, port: int, whose: str) -> None:
    before = len(machine.processes())
    with listening(port):
        said = Installation(machine, f"taken-{port}").said("up", check=False)
    last = said.splitlines()[-1]
    assert last.startswith("dolium: ")
    assert str(port) in last
    assert whose in last
    until(lambda: len(machine.processes()) == before, "what had been started is stopped again")


def test_a_full_disk_is_named(machine: Place) -> None:
    full = Installation(machine, "full", {"DEFAULT": {"min_free_mib": "100000000"}})
    last = full.said("up", check=False).splitlines()[-1]
    assert "MB free and images need at least 100000000 MB: make room there" in last


# --- containers that can't run ---------------------------------------------------------------


def test_a_second_one_on_the_same_state_is_refused(installation: Installation) -> None:
    said = installation.said("up", check=False).splitlines()[-1]
    assert f"Another Dolium (pid {installation.pid}) uses {installation.state}" in said
    assert "`dolium down`" in said
    assert installation.answers()


def test_no_such_image(machine: Place, owned: Owned) -> None:
    with registry(machine) as address:
        uuid = owned.create("no-image", image=f"{address}/nosuch:1")
        shown = owned.until(uuid, "Error")
    assert shown["status_reason"].startswith(f"Image {address}/nosuch:1 could not be found: ")
    owned.delete(uuid)


@contextmanager
def registry(machine: Place) -> Iterator[str]:
    """An empty registry on loopback; yields its address."""
    config = machine.folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {machine.folder}/registry}}}}\n"
        "http: {addr: 127.0.0.1:5001}\n"
    )
    command = machine.command("docker-registry", "serve", str(config))
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("needs docker-registry")
    try:
        until(lambda: _connects(5001, process), "the registry answers")
        yield "127.0.0.1:5001"
    finally:
        for pid in machine.named("docker-registry"):
            machine.kill(pid)
        process.wait(10)


def _connects(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        pytest.skip("needs docker-registry")
    with closing(socket.socket()) as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def test_no_such_command(owned: Owned) -> None:
    uuid = owned.create("no-command", command=["nosuch"])
    shown = owned.until(uuid, "Error")
    assert shown["status_reason"].startswith("The command 'nosuch' can't be run")
    actions = owned.client.ask("GET", f"/v1/containers/{uuid}/container_actions")
    assert [each["message"] for each in actions["containerActions"]] == ["Error"]
    owned.delete(uuid)


def test_a_container_that_exits_at_once(owned: Owned) -> None:
    uuid = owned.create("exits", command=["sh", "-c", "echo done; exit 7"])
    shown = owned.until(uuid, "Stopped")
    assert shown["status_detail"].startswith("Exited(7) ")
    assert shown["status_reason"] is None
    assert owned.client.ask("GET", f"/v1/containers/{uuid}/logs") == "done\n"
    owned.delete(uuid)


def test_a_container_that_ignores_sigterm(owned: Owned) -> None:
    uuid = owned.create("stubborn", command=IGNORES)
    owned.until(uuid, "Running")
    owned.act(uuid, "stop", timeout=1)
    assert owned.until(uuid, "Stopped")["status_detail"].startswith("Exited(137) ")
    owned.delete(uuid)


def test_restart_policies(installation: Installation, owned: Owned) -> None:
    fails = owned.create(
        "fails",
        command=["sh", "-c", "echo try; exit 3"],
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
    )
    always = owned.create(
        "always", command=["sh", "-c", "echo life; exit 0"], restart_policy={"Name": "always"}
    )

    def lives(uuid: str) -> int:
        """By its log, which the API refuses while it is Restarting, and that is nearly always."""
        return len(installation.docker("logs", f"dolium-{uuid}-1", check=False).split())

    until(lambda: lives(always) >= 3, "`always` has started it twice again")
    until(lambda: lives(fails) == 3, "`on-failure:2` has started it twice again")
    owned.until(fails, "Stopped")
    status, body = owned.client.raw("DELETE", f"/v1/containers/{always}?stop=true")
    if status == 409:  # it is just Restarting, which only an administrator may delete
        with installation.client("admin") as admin:
            status, body = admin.raw("DELETE", f"/v1/containers/{always}?force=true")
    assert status == 204, body
    owned.gone(always)
    owned.delete(fails)


def test_twenty_at_once_with_one_name(installation: Installation, owned: Owned) -> None:
    made: list[str] = []
    known = installation.token()

    def create() -> None:
        with installation.client(known=known) as client:
            made.append(Owned(client).create("twin", memory="8"))

    threads = [threading.Thread(target=create) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20
    for uuid in made:
        owned.until(uuid, "Running", seconds=120)
    status, body = owned.client.raw("GET", "/v1/containers/twin")
    assert status == 409
    assert b"Multiple containers exist with same name 'twin'" in body
    matches.soon(installation)
    owned.delete(*made[1:])
    assert owned.client.ask("GET", "/v1/containers/twin")["uuid"] == made[0]
    owned.delete(made[0])


# --- what runs beside it dies ------------------------------------------------------------------


def _born(shown: dict[str, Any], installation: Installation) -> str:
    name = f"dolium-{shown['uuid']}-1"
    return installation.docker("inspect", "--format", "{{.State.StartedAt}}", name)


@pytest.mark.parametrize("program", ["dockerd", "containerd"])
def test_the_engine_is_killed(installation: Installation, owned: Owned, program: str) -> None:
    uuid = owned.create("survivor")
    born = _born(owned.until(uuid, "Running"), installation)
    before = daemon(installation.place, program)
    installation.place.kill(before)
    asked = owned.create("asked-meanwhile")
    until(
        lambda: (pids := installation.place.named(program)) and pids != [before],
        f"{program} is started again",
    )
    owned.until(asked, "Running")
    assert _born(owned.until(uuid, "Running"), installation) == born, "it was started anew"
    assert f"{program} was killed by signal 9" in installation.tail(200)
    matches.soon(installation)
    owned.delete(uuid, asked)


def test_the_engine_is_killed_while_it_makes_one(
    installation: Installation, owned: Owned, tmp_path: Path
) -> None:
    """It writes a container down first, then fills its volumes, then learns of its networks."""
    for number in range(4000):
        (tmp_path / str(number)).touch()
    installation.docker("create", "--name", "slow", "--net", "none", IMAGE, "true")
    installation.docker("cp", str(tmp_path), "slow:/many")
    installation.docker("commit", "--change", "VOLUME /many", "slow", "slow")
    installation.docker("rm", "slow")
    place = installation.place
    written = place.seen(installation.state / "engine" / "data" / "containers")
    before = set(written.glob("*/hostconfig.json"))
    count = ["sh", "-c", f"ls /many | wc -l; {ENDS[-1]}"]
    uuid = owned.create("half", image="slow", command=count)
    until(lambda: set(written.glob("*/hostconfig.json")) - before, "it is made", step=0.0002)
    place.kill(daemon(place, "dockerd"))
    owned.until(uuid, "Running")
    said = until(lambda: owned.client.ask("GET", f"/v1/containers/{uuid}/logs"), "it has counted")
    assert said == "4000\n"
    matches.soon(installation)
    owned.delete(uuid)
    installation.docker("rmi", "slow")


@pytest.mark.skipif(shutil.which("ctr") is None, reason="needs ctr, containerd's own client")
def test_a_pause_that_was_cut_in_two(installation: Installation, owned: Owned) -> None:
    place = installation.place
    uuid = owned.create("frozen")
    owned.until(uuid, "Running")
    ident = installation.docker("inspect", "--format", "{{.Id}}", f"dolium-{uuid}-1").strip()
    before = daemon(place, "dockerd")
    place.kill(before, 19)  # stopped, it does not hear what becomes of the container
    address = f"/run/{installation.mark}/engine/containerd.sock"
    place.run("ctr", "-a", address, "-n", installation.mark, "task", "pause", ident)
    place.kill(before)
    owned.act(uuid, "pause")
    owned.until(uuid, "Paused")
    owned.act(uuid, "unpause")
    owned.until(uuid, "Running")
    owned.delete(uuid)


def test_keystone_is_killed(installation: Installation, owned: Owned) -> None:
    token = installation.token()
    before = keystone(installation.place)
    installation.place.kill(before)
    with installation.client(known=token) as client:

        def answer() -> int:
            return client.raw("GET", "/v1/containers")[0]

        first = answer()
        assert first in (200, 503), "a Keystone that is away makes no token wrong"
        until(lambda: answer() == 200, "the old token works again")

    def again() -> bool:
        try:
            return bool(installation.token())
        except (OSError, wire.Refused):
            return False

    until(again, "people can sign in again")
    assert keystone(installation.place) != before


def test_what_answers_goes_before_what_starts_containers(
    installation: Installation, owned: Owned
) -> None:
    """Also when some of it has been started anew, as above."""
    place = installation.place
    uuid = owned.create("usual")
    owned.until(uuid, "Running")
    inside = installation.docker("inspect", "--format", "{{.State.Pid}}", f"dolium-{uuid}-1")

    def policy(pid: int) -> int:
        stat = (place.root / "proc" / str(pid) / "stat").read_text()
        return int(stat.rpartition(")")[2].split()[38])  # field 41, see proc(5)

    assert {policy(installation.pid), policy(keystone(place))} == {os.SCHED_RR}
    daemons = {daemon(place, name) for name in ("dockerd", "containerd")}
    assert {policy(pid) for pid in daemons | {int(inside)}} == {os.SCHED_OTHER}
    owned.delete(uuid)


def test_a_disk_that_fills_and_gets_room_again(installation: Installation, owned: Owned) -> None:
    survivor = owned.create("survivor")
    owned.until(survivor, "Running")
    filler = installation.place.seen(installation.state / "filler")
    made: list[str] = []
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        for number in range(30):  # what is allocated already may still take a few
            body = {"name": f"full-{number}", "image": IMAGE, "cpu": 0.1, "memory": "8"}
            status, answer = owned.client.raw("POST", "/v1/containers", msgspec.json.encode(body))
            assert status in (202, 507, 503), answer
            if status != 202:
                assert b"no space left" in answer, answer
                break
            made.append(str(msgspec.json.decode(answer)["uuid"]))
        assert owned.show(survivor)["status"] == "Running", "reading goes on"
    finally:
        filler.unlink()
    late = until(lambda: _created(owned), "creating works again")
    assert late is not None
    owned.until(late, "Running", seconds=90)
    for uuid in made:
        owned.until(uuid, "Created", "Error", seconds=90)
    owned.delete(late, survivor, *made)


def _created(owned: Owned) -> str | None:
    try:
        return owned.create("late")
    except wire.Refused:
        return None


# --- it dies itself ----------------------------------------------------------------------------


def test_a_killed_dolium_finds_again_what_it_left(installation: Installation) -> None:
    place = installation.place
    with installation.client() as client:
        owned = Owned(client)
        uuid = owned.create("kept")
        born = _born(owned.until(uuid, "Running"), installation)
    before = (keystone(place), daemon(place, "dockerd"), daemon(place, "containerd"))
    installation.kill()
    assert "Dolium does not run" in installation.said("status", check=False)
    installation.up()
    after = (keystone(place), daemon(place, "dockerd"), daemon(place, "containerd"))
    assert after == before, "they were started anew instead of adopted"
    with installation.client() as client:
        owned = Owned(client)
        assert _born(owned.until(uuid, "Running"), installation) == born
    matches.soon(installation)


def test_everything_was_killed(installation: Installation) -> None:
    """As after a crash of the machine, but for the containers."""
    place = installation.place
    killed = [keystone(place), daemon(place, "dockerd"), daemon(place, "containerd")]
    installation.kill()
    for pid in killed:
        place.kill(pid)
    installation.up()
    with installation.client() as client:
        Owned(client).until("kept", "Running")
    matches.soon(installation)


def test_down_and_up_brings_back_what_ran(installation: Installation) -> None:
    with installation.client() as client:
        owned = Owned(client)
        stopped = owned.create("stopped", run=False)
        owned.until(stopped, "Created")
        whole = capsule(installation, client)
    said = installation.down()
    assert "Dolium has stopped; its containers come back with `dolium up`." in said
    assert_nothing_runs(installation.place)
    installation.up()
    with installation.client() as client:
        owned = Owned(client)
        owned.until("kept", "Running")
        owned.until(stopped, "Created", "Stopped")
        path = f"/v1/capsules/{whole}"
        until(lambda: client.ask("GET", path)["status"] == "Running", "the capsule runs again")
    matches.soon(installation)


def capsule(installation: Installation, client: wire.Client) -> str:
    """A capsule that runs, after which a sandbox is ready for the next; returns its id."""
    some = [{"image": IMAGE, "command": ENDS}]
    template = {"kind": "capsule", "metadata": {"name": "some"}, "spec": {"containers": some}}
    made = client.ask("POST", "/v1/capsules", {"template": template})
    listing = ("ps", "-q", "--filter", "name=dolium-ready-", "--filter", "status=running")
    until(lambda: installation.docker(*listing), "a sandbox is ready")
    path = f"/v1/capsules/{made['uuid']}"
    until(lambda: client.ask("GET", path)["status"] == "Running", "the capsule runs")
    return str(made["uuid"])


def test_down_clears_away_what_a_killed_one_left(installation: Installation) -> None:
    mark = installation.mark
    with installation.client() as client:
        capsule(installation, client)
    installation.kill()
    said = installation.down()
    assert "Dolium does not run; ended what it had left: Keystone, " in said
    assert_nothing_runs(installation.place)
    place = installation.place
    links = [line.split()[0] for line in place.run("ip", "-br", "link").splitlines()]
    assert links == ["lo"], links
    assert place.run("nft", "list", "tables") == ""
    groups = place.run("sh", "-c", f"ls -d /sys/fs/cgroup/*/{mark} || :", check=False)
    assert groups.strip() == ""
    assert "Dolium does not run; nothing was left." in installation.down()


def assert_nothing_runs(place: Place) -> None:
    left = {
        pid: line
        for pid, line in place.processes().items()
        if pid != 1 and line[0] not in ("cat", "nsenter")
    }
    assert left == {}, left
