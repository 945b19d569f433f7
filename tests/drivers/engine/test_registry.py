"""Docker Engine pulling from a real registry."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolium import errors
from dolium.drivers.engine.docker_socket import Client, Connection
from tests import engines
from tests.drivers.engine.conftest import Bench

pytestmark = pytest.mark.live

PORT = 5000
CONFIG = f"""
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: ROOT}}}}
http: {{addr: "127.0.0.1:{PORT}"}}
"""


@dataclass
class Registry:
    bench: Bench
    folder: Path

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Run it in the engine's network namespace."""
        assert self.bench.daemon
        config = self.folder / "config.yml"
        config.write_text(CONFIG.replace("ROOT", str(self.folder / "data")))
        enter = ["nsenter", "-t", str(self.bench.daemon.pid), "-n", "--"]
        with subprocess.Popen([*enter, "docker-registry", "serve", str(config)]) as process:
            try:
                ask = [*enter, engines.BUSYBOX, "wget", "-qO-", f"http://127.0.0.1:{PORT}/v2/"]
                engines.wait(
                    lambda: subprocess.call(ask, stderr=subprocess.DEVNULL) == 0, "it listens"
                )
                yield
            finally:
                process.terminate()

    def push(self, name: str) -> None:
        """Put busybox there and forget it here."""
        assert self.bench.daemon
        path = str(self.bench.daemon.socket)
        client = Client(path)
        repo = f"127.0.0.1:{PORT}/{name}"
        client.raw("POST", "/images/busybox:latest/tag", query={"repo": repo, "tag": "1"})
        connection = Connection(path, 60)
        connection.request(
            "POST", f"/v1.41/images/{repo}/push?tag=1", headers={"X-Registry-Auth": "e30="}
        )
        assert b'"error"' not in connection.getresponse().read()
        connection.close()
        client.raw("DELETE", f"/images/{repo}:1")
        client.close()


@pytest.fixture
def registry(docker: Bench, tmp_path: Path) -> Registry:
    if not shutil.which("docker-registry"):
        pytest.skip("needs docker-registry (Debian package of the same name)")
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
