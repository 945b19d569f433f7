"""A real registry for tests: Debian's docker-registry, which may ask who is there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest

from dolium.drivers.engine.docker_images import signed
from dolium.drivers.engine.docker_socket import Client, Connection
from dolium.model.registry import Login
from tests.live.place import Place, until

_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_PEOPLE = "auth: {{htpasswd: {{realm: test, path: {file}}}}}\n"


def config(folder: Path, port: int, login: Login | None = None) -> Path:
    """The file for `docker-registry serve`; login: who alone may have something."""
    text = _CONFIG.format(folder=folder / "images", port=port)
    if login is not None:
        people = folder / "people"
        word = bcrypt.hashpw(str(login.password).encode(), bcrypt.gensalt(4))
        people.write_text(f"{login.username}:{word.decode()}\n")
        text += _PEOPLE.format(file=people)
    path = folder / "config.yml"
    path.write_text(text)
    return path


@contextmanager
def serving(machine: Place, port: int, login: Login | None = None) -> Iterator[None]:
    """One on a machine's own loopback; login: who alone may have something."""
    folder = machine.folder / "registry"
    folder.mkdir(exist_ok=True)
    command = ["docker-registry", "serve", str(config(folder, port, login))]
    try:
        process = subprocess.Popen(machine.command(*command))
    except FileNotFoundError:
        pytest.skip("needs docker-registry")
    connect = machine.command("bash", "-c", f"</dev/tcp/127.0.0.1/{port}")
    try:
        until(
            lambda: subprocess.run(connect, capture_output=True).returncode == 0,
            "the registry listens",
            step=0.1,
        )
        yield
    finally:
        for pid in machine.named("docker-registry"):
            machine.kill(pid)
        process.wait(10)


def push(socket: str, image: str, repo: str, login: Login | None = None) -> None:
    """Put an engine's image there as `repo:1`, and forget that name here."""
    client = Client(socket)
    client.raw("POST", f"/images/{image}/tag", query={"repo": repo, "tag": "1"})
    connection = Connection(socket, 60)
    headers = signed(login) or {"X-Registry-Auth": "e30="}
    connection.request("POST", f"/v1.41/images/{repo}/push?tag=1", headers=headers)
    told = connection.getresponse().read()
    connection.close()
    client.raw("DELETE", f"/images/{repo}:1")
    client.close()
    assert b'"error"' not in told, told
