"""`dolium up` as a user starts it, and clients of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests import engines
from tests.perf import wire
from tests.perf.plain import IMAGE, Docker

API = ("127.0.0.1", 9517)
IDENTITY = ("127.0.0.1", 5000)

_CONFIG = """\
[quota]
containers = -1
cpu = -1
memory = -1
disk = -1
[placing]
cpu_ratio = 1000
memory_ratio = 100
[network]
command_line_project = {project}
"""


class Installation:
    """One state directory and, while it runs, its process."""

    def __init__(self, state: Path, *, configured: bool = True) -> None:
        """configured: False leaves everything as a user finds it who configures nothing."""
        self.state = state
        self._configured = configured
        self.process: subprocess.Popen[bytes] | None = None
        self._config = state.with_suffix(".conf")
        self._log = state.with_suffix(".log")

    @property
    def pid(self) -> int:
        """Of Dolium itself, without Keystone and the engine."""
        assert self.process is not None
        return self.process.pid

    def prepare(self) -> None:
        """First start, which makes everything; then a second one that measures may look at."""
        self._config.write_text(_CONFIG.format(project=""))
        self.start()
        self.ready()
        project = self.token("admin-openrc")[1]
        engines.load_image(self.engine, IMAGE)
        self.stop()
        # People at the engine's socket, the peer here, may use this project's networks.
        self._config.write_text(_CONFIG.format(project=project))
        self.start()
        self.ready()

    def command(self, verb: str, python: Sequence[str] = ()) -> list[str]:
        """A `dolium` command line for this installation."""
        common = ["--state-dir", str(self.state)]
        if self._configured:
            common += ["--config", str(self._config)]
        return [sys.executable, *python, "-m", "dolium.cli.main", verb, *common]

    def start(self, python: Sequence[str] = (), log: Path | None = None) -> None:
        """Start it, with options for its interpreter; does not wait."""
        with open(log or self._log, "ab") as told:
            self.process = subprocess.Popen(self.command("up", python), stdout=told, stderr=told)

    def stop(self) -> None:
        """Stop it and all it started."""
        subprocess.run(self.command("down"), check=False, capture_output=True)
        if self.process is not None:
            self.process.wait(60)
            self.process = None

    def ready(self) -> None:
        """Wait until the API answers an administrator."""
        wire.wait(self.answers, f"Dolium; see {self._log}")

    def answers(self) -> bool:
        """Whether an authenticated request is answered."""
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"dolium up ended:\n{self._log.read_text()[-3000:]}")
        if not (self.state / "admin-openrc").exists():
            return False
        try:
            return self.client("admin-openrc").raw("GET", "/v1/containers")[0] == 200
        except (OSError, wire.Refused):
            return False

    @property
    def engine(self) -> str:
        """Path of the engine's socket."""
        said = subprocess.run(
            self.command("engine"), check=True, capture_output=True, text=True
        ).stdout
        return said.strip().removeprefix("unix://")

    def token(self, rc: str) -> tuple[str, str]:
        """A token and its project's id, for who is named in an openrc file."""
        return token(credentials(self.state / rc))

    def client(self, rc: str) -> wire.Client:
        """A client of the API as who is named in an openrc file."""
        headers = {"X-Auth-Token": self.token(rc)[0]}
        headers["OpenStack-API-Version"] = "container 1.40"
        return wire.tcp(*API, headers)

    def docker(self) -> Docker:
        """The engine itself, without Dolium."""
        return Docker(self.engine)


def credentials(path: Path) -> dict[str, str]:
    """The variables an openrc file exports."""
    said = subprocess.run(
        ["sh", "-c", '. "$1"; env', "sh", str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    pairs = (line.partition("=") for line in said.splitlines())
    return {name: value for name, _, value in pairs if name.startswith("OS_")}


def token(rc: dict[str, str]) -> tuple[str, str]:
    """A token and its project's id from Keystone."""
    url = urlsplit(rc["OS_AUTH_URL"])
    user = {
        "name": rc["OS_USERNAME"],
        "password": rc["OS_PASSWORD"],
        "domain": {"name": rc.get("OS_USER_DOMAIN_NAME", "Default")},
    }
    project = {
        "name": rc["OS_PROJECT_NAME"],
        "domain": {"name": rc.get("OS_PROJECT_DOMAIN_NAME", "Default")},
    }
    asked = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }
    }
    client = wire.tcp(str(url.hostname), url.port or 80)
    base = url.path.rstrip("/").removesuffix("/v3")
    sent = msgspec.json.encode(asked)
    response, body = client.exchange("POST", f"{base}/v3/auth/tokens", sent)
    client.close()
    if response.status != 201:
        raise wire.Refused(f"no token: {response.status} {body[:300]!r}")
    return response.headers["X-Subject-Token"], msgspec.json.decode(body)["token"]["project"]["id"]


class Owned:
    """Containers made through the API, as one user."""

    def __init__(self, client: wire.Client) -> None:
        self.client = client

    def create(self, name: str, *, run: bool) -> str:
        """Ask for one; returns its id at once."""
        body: dict[str, Any] = {
            "name": name,
            "image": IMAGE,
            "command": ["sleep", "3600"],
            "cpu": 0.5,
            "memory": "64",
        }
        asked = self.client.ask("POST", f"/v1/containers?run={str(run).lower()}", body)
        return str(asked["uuid"])

    def until(self, uuid: str, status: str, step_s: float = 0.01) -> Any:
        """Wait for a status; raises when it is an error instead. Looking costs both sides CPU."""

        def shown() -> Any:
            found = self.client.ask("GET", f"/v1/containers/{uuid}")
            if found["status"] == "Error":
                raise RuntimeError(f"{uuid}: {found['status_reason']}")
            return found if found["status"] == status else None

        return wire.wait(shown, f"{uuid} is {status}", step_s=step_s)

    def delete(self, uuid: str) -> None:
        """Ask for its end; does not wait."""
        self.client.ask("DELETE", f"/v1/containers/{uuid}?force=true")

    def gone(self, uuid: str) -> None:
        """Wait until nothing is left of it."""
        path = f"/v1/containers/{uuid}"
        wire.wait(lambda: self.client.raw("GET", path)[0] == 404, f"{uuid} is gone")
