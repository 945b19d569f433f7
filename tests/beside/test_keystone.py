"""A real Keystone beside Dolium: filled, found again, quick to come back, silent about secrets."""

import json
import os
import signal
import socket
import sqlite3
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dolium.beside import errors, keystone_files
from dolium.beside.keystone import Keystone
from dolium.beside.keystone_files import Credentials
from tests.ports import free_port

pytest.importorskip("keystone", reason="Keystone is not installed: pip install 'dolium[aio]'")

PATIENCE = 120.0


def sign_in(who: Credentials) -> tuple[str, dict[str, Any]]:
    domain = {"name": who.domain_name}
    user = {"name": who.username, "domain": domain, "password": who.password}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": who.project_name, "domain": domain}},
        }
    }
    headers, answer = call("POST", f"{who.auth_url}/auth/tokens", body)
    return headers["X-Subject-Token"], answer["token"]


def call(
    method: str, url: str, body: object = None, token: str = "", subject: str = ""
) -> tuple[dict[str, str], Any]:
    headers = {"Content-Type": "application/json"}
    headers |= {"X-Auth-Token": token} if token else {}
    headers |= {"X-Subject-Token": subject} if subject else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return dict(response.headers), json.loads(response.read() or b"null")


def endpoints(token: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (service["type"], endpoint["interface"]): endpoint["url"]
        for service in token["catalog"]
        for endpoint in service["endpoints"]
    }


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    """One that has been started for the first time; tests leave it running."""
    made = Keystone(tmp_path_factory.mktemp("state"), port=free_port())
    made.start(PATIENCE)
    yield made
    made.stop()


def again(keystone: Keystone, **changes: Any) -> Keystone:
    """What the next Dolium makes of the same folder."""
    port = int(keystone.auth_url.rpartition(":")[2].partition("/")[0])
    return Keystone(keystone.folder.parent, **({"port": port} | changes))


def test_everybody_can_sign_in_with_the_roles_they_need(keystone: Keystone) -> None:
    wanted = {"admin": {"admin"}, "demo": {"member", "reader"}, "dolium": {"service"}}
    for name, roles in wanted.items():
        _, token = sign_in(keystone.credentials(name))
        assert {role["name"] for role in token["roles"]} >= roles
        assert token["project"]["name"] == keystone_files.USERS[name]
    assert "admin" not in {role["name"] for role in token["roles"]}


def test_the_catalog_has_keystone_and_the_containers(keystone: Keystone) -> None:
    _, token = sign_in(keystone.credentials("demo"))
    urls = {"identity": keystone.auth_url, "container": "http://127.0.0.1:9517/v1"}
    assert endpoints(token) == {
        (kind, interface): url
        for kind, url in urls.items()
        for interface in ("public", "internal", "admin")
    }
    regions = {e["region_id"] for s in token["catalog"] for e in s["endpoints"]}
    assert regions == {"RegionOne"}


def test_the_service_user_validates_tokens(keystone: Keystone) -> None:
    mine, _ = sign_in(keystone.credentials("dolium"))
    theirs, _ = sign_in(keystone.credentials("demo"))
    url = f"{keystone.auth_url}/auth/tokens"
    _, answer = call("GET", url, token=mine, subject=theirs)
    assert answer["token"]["user"]["name"] == "demo"


def test_everything_written_is_private(keystone: Keystone) -> None:
    state = keystone.folder.parent
    for folder, _, names in os.walk(state):
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700, folder
        for name in names:
            mode = stat.S_IMODE((Path(folder) / name).stat().st_mode)
            assert mode == 0o600, (folder, name, oct(mode))
    assert {"clouds.yaml", "openrc", "admin-openrc"} <= {p.name for p in state.iterdir()}


def test_secrets_are_neither_in_argv_nor_environment_nor_log(keystone: Keystone) -> None:
    for name in keystone_files.USERS:
        sign_in(keystone.credentials(name))
    mistyped = replace(keystone.credentials("demo"), password="mistyped-by-demo")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        sign_in(mistyped)
    process = Path(f"/proc/{keystone.process.pid}")
    texts = [(process / name).read_text() for name in ("cmdline", "environ")]
    texts.append(keystone.process.log.read_text())
    secrets = {path.read_text() for path in keystone.folder.glob("*-keys/*")}
    secrets |= {keystone.credentials(name).password for name in keystone_files.USERS}
    secrets.add(mistyped.password)
    assert not [secret for secret in secrets for text in texts if secret in text]


def test_a_running_keystone_is_adopted(keystone: Keystone) -> None:
    pid = keystone.process.pid
    other = again(keystone)
    said = other.start()
    assert other.process.pid == pid and "still runs" in said


def test_tokens_outlive_a_killed_keystone_and_it_comes_back_quickly(keystone: Keystone) -> None:
    token, _ = sign_in(keystone.credentials("demo"))
    pid = keystone.process.pid
    assert pid is not None
    applied = (keystone.folder / "applied.json").stat().st_mtime_ns
    os.kill(pid, signal.SIGKILL)
    assert keystone.process.ended(PATIENCE)
    before = time.monotonic()
    keystone.start(PATIENCE)
    took = time.monotonic() - before
    assert keystone.process.pid != pid
    url = f"{keystone.auth_url}/auth/tokens"
    _, answer = call("GET", url, token=token, subject=token)
    assert answer["token"]["user"]["name"] == "demo"
    # Nothing was made again, neither tables nor users: that is what makes it quick.
    assert (keystone.folder / "applied.json").stat().st_mtime_ns == applied
    assert "alembic" not in "\n".join(keystone.process.said())
    print(f"second start took {took:.1f} s")


def test_a_watched_keystone_is_revived(keystone: Keystone) -> None:
    said: list[str] = []
    pid = keystone.process.pid
    assert pid is not None
    keystone.watch(said.append)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while not any("runs again" in sentence for sentence in said):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    keystone.release()
    assert keystone.process.pid != pid
    sign_in(keystone.credentials("demo"))


def test_random_passwords_are_cheap_to_check_and_chosen_ones_are_not(keystone: Keystone) -> None:
    token, _ = sign_in(keystone.credentials("admin"))
    user = {"user": {"name": "anna", "domain_id": "default", "password": "chosen by anna"}}
    call("POST", f"{keystone.auth_url}/users", user, token=token)
    database = sqlite3.connect(keystone.folder / "keystone.db")
    rows = database.execute(
        "select l.name, p.password_hash from password p join local_user l on l.id=p.local_user_id"
    )
    rounds = {name: value.split("$")[2] for name, value in rows}
    database.close()
    assert rounds == {"admin": "04", "demo": "04", "dolium": "04", "anna": "10"}


def test_many_at_once_get_no_error(keystone: Keystone) -> None:
    admin, _ = sign_in(keystone.credentials("admin"))
    service, _ = sign_in(keystone.credentials("dolium"))
    url = keystone.auth_url

    def work(worker: int) -> None:
        for round in range(3):
            name = f"many-{worker}-{round}"
            user = {"name": name, "domain_id": "default", "password": "chosen by many"}
            _, made = call("POST", f"{url}/users", {"user": user}, token=admin)
            theirs, _ = sign_in(keystone.credentials("demo"))
            call("GET", f"{url}/auth/tokens", token=service, subject=theirs)
            call("DELETE", f"{url}/users/{made['user']['id']}", token=admin)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))  # raises what any of them met


def test_a_moved_service_and_a_moved_keystone_are_found_in_the_catalog(
    keystone: Keystone,
) -> None:
    token, _ = sign_in(keystone.credentials("demo"))
    elsewhere = "http://127.0.0.1:19517/v1"
    moved = again(keystone, port=free_port(), services={"container": elsewhere})
    try:
        moved.start(PATIENCE)
        _, body = sign_in(moved.credentials("demo"))
        assert endpoints(body)["container", "public"] == elsewhere
        assert set(endpoints(body).values()) == {elsewhere, moved.auth_url}
        assert moved.auth_url in (moved.folder.parent / "clouds.yaml").read_text()
        # Users were left alone, so what was signed in stays signed in.
        call("GET", f"{moved.auth_url}/auth/tokens", token=token, subject=token)
    finally:
        moved.stop()
        keystone.start(PATIENCE)
    assert endpoints(sign_in(keystone.credentials("demo"))[1])["container", "public"] != elsewhere


def test_a_password_that_was_replaced_in_the_file_is_set(keystone: Keystone) -> None:
    path = keystone.folder / "passwords.json"
    old = keystone.credentials("demo")
    words = json.loads(path.read_text())
    path.write_text(json.dumps(words | {"demo": "another-one"}))
    keystone.start(PATIENCE)
    assert sign_in(keystone.credentials("demo"))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        sign_in(old)


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        made = Keystone(tmp_path, port=other.getsockname()[1])
        with pytest.raises(errors.PortTaken, match=f"pid {os.getpid()}"):
            made.start()
    assert not made.process.alive()


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    made = Keystone(tmp_path, port=free_port())
    (tmp_path / "keystone" / "keystone.db").mkdir(parents=True)
    (tmp_path / "keystone" / "keystone.db" / "x").touch()
    with pytest.raises(errors.KeystoneDied, match=r"keystone\.db") as caught:
        made.start(PATIENCE)
    assert "\n" not in str(caught.value)
    made.stop()


@pytest.mark.parametrize("until", ["keystone.db", "schema", "applied.json"])
def test_a_first_start_killed_anywhere_is_finished_by_the_next(tmp_path: Path, until: str) -> None:
    made = Keystone(tmp_path, port=free_port())
    try:
        made.launch()
        deadline = time.monotonic() + PATIENCE
        while not (made.folder / until).exists():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert made.process.pid is not None
        os.kill(made.process.pid, signal.SIGKILL)
        assert made.process.ended(PATIENCE)
        made.start(PATIENCE)
        for name in keystone_files.USERS:
            sign_in(made.credentials(name))
    finally:
        made.stop()


def test_it_listens_before_it_can_answer(tmp_path: Path) -> None:
    made = Keystone(tmp_path, port=free_port())
    try:
        assert made.launch() is False
        made.wait(PATIENCE)
        sign_in(made.credentials("demo"))
        pid = made.process.pid
    finally:
        made.stop()
    assert made.process.pid is None and pid is not None
    with pytest.raises(urllib.error.URLError):
        call("GET", made.auth_url)
