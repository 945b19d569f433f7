"""What is written for Keystone and its clients."""

import json
import os
import stat
from pathlib import Path

from dolium.beside import keystone_files
from dolium.beside.keystone_files import Credentials

WHO = Credentials("http://127.0.0.1:5000/v3", "demo", "s3'cr\"et", "demo", "RegionOne")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_and_passwords_are_made_once_and_private(tmp_path: Path) -> None:
    keystone_files.keys(tmp_path)
    first = keystone_files.passwords(tmp_path / "passwords.json")
    keys = {path: path.read_text() for path in tmp_path.glob("*-keys/*")}
    assert len(set(keys.values())) == 4 and {mode(path) for path in keys} == {0o600}
    keystone_files.keys(tmp_path)
    assert {path: path.read_text() for path in keys} == keys
    assert keystone_files.passwords(tmp_path / "passwords.json") == first
    assert mode(tmp_path / "passwords.json") == 0o600
    assert min(len(word) for word in first.values()) >= 32


def test_a_new_user_gets_a_password_beside_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"admin": "kept"}))
    words = keystone_files.passwords(path)
    assert words["admin"] == "kept" and set(words) == set(keystone_files.USERS)


def test_credentials_keep_their_password_out_of_logs() -> None:
    assert WHO.password not in repr(WHO)


def test_an_openrc_can_be_sourced_and_forgets_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "openrc").write_text(keystone_files.openrc(WHO))
    show = f'. {tmp_path}/openrc; printf \'%s|%s\' "$OS_PASSWORD" "$OS_TOKEN"'
    environment = os.environ | {"OS_TOKEN": "stale"}
    read, write = os.pipe()
    pid = os.posix_spawn(
        "/bin/sh", ["sh", "-c", show], environment, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)]
    )
    os.close(write)
    with os.fdopen(read) as output:
        assert output.read() == f"{WHO.password}|"
    os.waitpid(pid, 0)
