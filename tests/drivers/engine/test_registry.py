"""Docker Engine pulling from a real registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from dolium import errors
from dolium.drivers.engine.docker import Docker
from dolium.model.registry import Login
from tests import engines, registries
from tests.drivers.engine.conftest import Bench

pytestmark = pytest.mark.live

PORT = 5000
LOGIN = Login(domain=f"127.0.0.1:{PORT}", username="alice", password="correct horse")


@dataclass
class Registry:
    bench: Bench
    folder: Path

    @contextmanager
    def serve(self, login: Login | None = None) -> Iterator[None]:
        """Run it in the engine's network namespace; login: who alone may have something."""
        assert self.bench.daemon
        config = registries.config(self.folder, PORT, login)
        enter = ["nsenter", "-t", str(self.bench.daemon.pid), "-n", "--"]
        with subprocess.Popen([*enter, "docker-registry", "serve", str(config)]) as process:
            try:
                ask = [*enter, engines.BUSYBOX, "wget", "-qO-", f"http://127.0.0.1:{PORT}/v2/"]
                engines.wait(lambda: _answers(ask), "it listens")
                yield
            finally:
                process.terminate()

    def push(self, name: str, login: Login | None = None) -> None:
        """Put busybox there and forget it here."""
        assert self.bench.daemon
        socket, repo = str(self.bench.daemon.socket), f"127.0.0.1:{PORT}/{name}"
        registries.push(socket, "busybox:latest", repo, login)


def _answers(ask: list[str]) -> bool:
    said = subprocess.run(ask, capture_output=True, text=True, check=False)
    return said.returncode == 0 or " 401 " in said.stderr


@pytest.fixture
def registry(docker: Bench, tmp_path: Path) -> Registry:
    if not shutil.which("docker-registry"):
        pytest.skip("needs docker-registry (Debian package of the same name)")
    assert docker.daemon
    docker.engine.close()
    options = Docker.Options(socket=str(docker.daemon.socket), silent_s=30.0)
    docker.engine = Docker(options)  # here a registry is slow at most, or says that it is gone
    return Registry(docker, tmp_path)


def test_pull(registry: Registry) -> None:
    engine = registry.bench.engine
    name = f"app{uuid.uuid4().hex[:8]}"
    image = f"127.0.0.1:{PORT}/{name}:1"
    with registry.serve():
        registry.push(name)
        with pytest.raises(errors.ImageMissing):
            engine.pull(image, "never")
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: engine.pull(image, "ifnotpresent"), range(4))) == {None}
        assert engine.pull(image, "never") is None
        assert engine.pull(image, "always") is None
        with pytest.raises(errors.ImageMissing, match="nosuch"):
            engine.pull(f"127.0.0.1:{PORT}/{name}:nosuch", "always")
        with pytest.raises(errors.ImageMissing):
            engine.pull(f"127.0.0.1:{PORT}/nosuch", "ifnotpresent")
        seen = registry.bench.run("echo", "hello", image=image)
        assert seen.started_at
    sentence = engine.pull(image, "always")
    assert (
        sentence
        == f"Registry 127.0.0.1:{PORT} does not answer: the image {image} on the host is used"
    )
    with pytest.raises(errors.Unanswered, match=f"Registry 127.0.0.1:{PORT} does not answer"):
        engine.pull(f"127.0.0.1:{PORT}/{name}:2", "always")


def test_pull_from_a_registry_that_asks_who_is_there(registry: Registry) -> None:
    engine = registry.bench.engine
    name = f"app{uuid.uuid4().hex[:8]}"
    image = f"127.0.0.1:{PORT}/{name}:1"
    stranger = msgspec.structs.replace(LOGIN, password="wrong")
    with registry.serve(LOGIN):
        registry.push(name, LOGIN)
        for login in (None, stranger):
            with pytest.raises(errors.Refused, match=f"127.0.0.1:{PORT} denies access to image"):
                engine.pull(image, "always", login=login)
        with ThreadPoolExecutor(4) as pool:
            pulls = [
                pool.submit(engine.pull, image, "always", login=login)
                for login in (LOGIN, LOGIN, stranger, None)
            ]
            assert [pull.exception() for pull in pulls[:2]] == [None, None]
            # Who may not have it gets nothing from those who may, though it is there now.
            assert {type(pull.exception()) for pull in pulls[2:]} == {errors.Refused}
        assert engine.pull(image, "never") is None
        with pytest.raises(errors.ImageMissing):
            engine.pull(f"127.0.0.1:{PORT}/{name}:nosuch", "always", login=LOGIN)


def test_search_in_a_registry_that_can_be_searched(docker: Bench, tmp_path: Path) -> None:
    """The engine asks an index of the old kind; a folder of files does for one."""
    assert docker.daemon
    index = tmp_path / "v1"
    index.mkdir()
    (index / "_ping").write_text("{}")
    entry = {"name": "team/app", "description": "An app.", "star_count": 3, "is_official": True}
    (index / "search").write_text(
        json.dumps({"num_results": 1, "query": "app", "results": [entry]})
    )
    name = f"127.0.0.1:{PORT}/app"
    enter = ["nsenter", "-t", str(docker.daemon.pid), "-n", "--", engines.BUSYBOX]
    serve = [*enter, "httpd", "-f", "-p", f"127.0.0.1:{PORT}", "-h", str(tmp_path)]
    with subprocess.Popen(serve) as process:
        try:
            ask = [*enter, "wget", "-qO-", f"http://127.0.0.1:{PORT}/v1/_ping"]
            engines.wait(lambda: _answers(ask), "it listens")
            (found,) = docker.engine.search_images(name)
        finally:
            process.kill()
    assert (found.name, found.star_count, found.is_official) == ("team/app", 3, True)
    assert found.description == "An app."
    with pytest.raises(errors.Unanswered, match=f"Registry 127.0.0.1:{PORT} does not answer"):
        docker.engine.search_images(name)
    with pytest.raises(errors.Unanswered, match=r"Registry docker\.io does not answer"):
        docker.engine.search_images("cirros")
