"""The images built for the demo, run by a real engine under the limits that Dolium sets.

The engine is a dockerd of the test's own in private network and mount namespaces.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2] / "demo" / "images"
NEEDED = ("dockerd", "docker", "apt-get", "nsenter", "unshare", "ip", "curl")
# What Dolium's containers get when nobody asks for more.
LIMITS = ("--security-opt", "no-new-privileges", "--pids-limit", "512", "--memory", "512m")
# Long enough for a busy machine; the usual values are a tenth of it.
PATIENCE = 60.0

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"
    ),
]


def until(look: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) is None:
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {look}"
        time.sleep(0.1)
    return seen


class Lab:
    """A private dockerd, and the demo's script pointed at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = f"unix://{folder}/docker.sock"
        self.environment = os.environ | {
            "DOCKER_HOST": self.socket,
            "DOLIUM_IMAGE_CACHE": f"{folder}/cache",
        }
        log = (folder / "dockerd.log").open("w")
        private = ("unshare", "--net", "--mount", "--propagation", "private")
        wired = ("sh", "-c", 'ip link set lo up && exec dockerd "$@"', "dockerd")
        self.process = subprocess.Popen(
            [
                *(*private, *wired, "--host", self.socket, "--data-root", f"{folder}/data"),
                *("--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/dockerd.pid"),
                *("--containerd-namespace", folder.name),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def docker(self, *arguments: str) -> str:
        return self._run("docker", *arguments)

    def images(self, *arguments: str) -> str:
        return self._run(sys.executable, str(IMAGES), *arguments)

    def host(self, *command: str) -> str:
        """Run a command where the engine's host would."""
        return self._run("nsenter", "-t", str(self.process.pid), "-n", *command)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=240
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def tried(self, *command: str, by: str = "host") -> str | None:
        try:
            output: str = getattr(self, by)(*command)
        except RuntimeError:
            assert self.process.poll() is None, (self.folder / "dockerd.log").read_text()
            return None
        return output

    def logged(self, name: str, text: str) -> str | None:
        """Return the container's output once it contains `text`."""
        output = self.docker("logs", name)
        return output if text in output else None

    def start(self, image: str, *options: str) -> str:
        """Run a container in the background; return its address."""
        name = self.docker("run", "--detach", *LIMITS, *options, image).strip()
        return self.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name).strip()

    def close(self) -> None:
        try:
            if remaining := self.docker("ps", "--all", "--quiet").split():
                self.docker("rm", "--force", "--volumes", *remaining)
        finally:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("demo-images"))
    try:
        until(lambda: made.tried("version", by="docker"))
        yield made
    finally:
        made.close()
        # Images are big, and pytest keeps the folders of three runs.
        shutil.rmtree(made.folder, ignore_errors=True)


def test_cirros_has_the_commands_of_the_demo(lab: Lab) -> None:
    assert "built from Debian packages" in lab.images("--build", "cirros")
    listed = lab.docker("run", "--rm", *LIMITS, "cirros", "ls", "-a", "/").split()
    assert {".", "..", "bin", "etc", "tmp"} <= set(listed)
    pinged = lab.docker("run", "--rm", *LIMITS, "cirros", "ping", "-c", "1", "127.0.0.1")
    assert "1 packets received" in pinged
    assert lab.docker("run", "--rm", *LIMITS, "cirros", "id", "-u") == "0\n"


def test_only_what_is_asked_for_is_made_and_made_once(lab: Lab) -> None:
    lab.images("--build", "busybox")
    assert "is there" in lab.images("--build", "busybox")
    assert lab.tried("image", "inspect", "alpine", by="docker") is None
    lab.docker("rmi", "busybox")
    assert "loaded from the cache" in lab.images("--build", "busybox")


def test_nginx_welcomes_and_stops_at_once(lab: Lab) -> None:
    lab.images("--build", "nginx")
    address = lab.start("nginx", "--name", "web")
    page = until(lambda: lab.tried("curl", "-sS", f"http://{address}/"))
    assert "Welcome to nginx!" in page
    lab.docker("stop", "web")
    assert lab.docker("inspect", "--format", "{{.State.ExitCode}}", "web") == "0\n"


def test_an_image_of_somebody_else_is_left_alone(lab: Lab) -> None:
    lab.images("--build", "cirros")
    lab.docker("run", "--name", "theirs", "cirros", "true")
    lab.docker("commit", "--change", "LABEL dolium.demo.recipe=", "theirs", "alpine:latest")
    assert lab.images("--build", "alpine").startswith("alpine:latest     is there (")


@pytest.mark.slow
def test_wordpress_finds_its_database(lab: Lab) -> None:
    lab.images("--build", "mysql", "wordpress")
    database = lab.start(
        "mysql:latest", "-e", "MYSQL_DATABASE=wordpress", "-e", "MYSQL_ROOT_PASSWORD=it's root"
    )
    blog = lab.start(
        "wordpress:latest",
        *("-e", f"WORDPRESS_DB_HOST={database}"),
        *("-e", "WORDPRESS_DB_USER=root", "-e", "WORDPRESS_DB_PASSWORD=it's root"),
    )
    page = until(lambda: lab.tried("curl", "-sSL", "--fail", f"http://{blog}/"))
    assert "<title>WordPress &rsaquo; Installation</title>" in page
    assert "Site Title" in page


@pytest.mark.slow
def test_a_database_killed_in_its_first_start_begins_again(lab: Lab) -> None:
    lab.images("--build", "mysql")
    lab.start("mysql", "--name", "db", "-e", "MYSQL_ROOT_PASSWORD=x", "-e", "MYSQL_DATABASE=d")
    until(lambda: lab.logged("db", "making the database files"))
    lab.docker("kill", "db")
    lab.docker("start", "db")
    query = ("exec", "db", "mysql", "-px", "-e", "SHOW DATABASES LIKE 'd'")
    assert "\nd\n" in until(lambda: lab.tried(*query, by="docker"))
