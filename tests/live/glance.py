"""A real Glance in a place, whose users are those of the Keystone there."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.identity import VALIDATION
from tests.live.place import Place, environment, until

PROGRAM = Path(__file__).parent / "served" / "serve_glance.py"
PYTHON = Path(__file__).parents[2] / ".venv-nova" / "bin" / "python"
PORT = 9292
URL = f"http://127.0.0.1:{PORT}"
CONFIGURATION = """
[DEFAULT]
enabled_backends = files:file
worker_self_reference_url = {url}
node_staging_uri = file://{folder}/stage
enabled_import_methods = []
[database]
connection = sqlite:///{folder}/glance.sqlite
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/stage
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[paste_deploy]
flavor = keystone
config_file = {paste}
[oslo_policy]
policy_file = {folder}/policy.yaml
"""


def missing() -> str:
    """What is not installed; empty when all is."""
    return "" if PYTHON.exists() else ".venv-nova is missing; scripts/bootstrap test makes it"


class Glance:
    """Started when made, until it is killed."""

    def __init__(self, place: Place, keystone: dict[str, str]) -> None:
        """keystone: who validates tokens there: auth_url, username, password, project_name."""
        self.folder = place.folder / "glance"
        for name in ("images", "stage", "tasks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        paste = PYTHON.parents[1] / "etc" / "glance" / "glance-api-paste.ini"
        text = CONFIGURATION.format(folder=self.folder, paste=paste, url=URL)
        text += VALIDATION.format(**keystone, domain_name="Default")
        (self.folder / "glance-api.conf").write_text(text)
        (self.folder / "policy.yaml").write_text("{}\n")
        self._place = place
        self._log = self.folder / "said"
        self.start()

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        command = self._place.command(str(PYTHON), str(PROGRAM), str(PORT), str(self.folder))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        until(self._answers, "Glance answers", step=0.2)

    def kill(self) -> None:
        """Without warning; also at the end."""
        for pid in self._place.named("python", str(PROGRAM)):
            self._place.kill(pid)
        self._go_on()
        self._process.wait(30)

    def _go_on(self) -> None:
        """nsenter stops itself when what it runs is stopped."""
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It is reached and says nothing meanwhile."""
        (pid,) = self._place.named("python", str(PROGRAM))
        self._place.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self._place.kill(pid, signal.SIGCONT)
            self._go_on()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{URL}/versions", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 300
        except OSError:
            return False

    # --- what people do there ------------------------------------------------------------------

    def ask(self, token: str, verb: str, path: str, body: Any = None) -> Any:
        """One request of a token's bearer; a body of bytes is an image's."""
        raw = isinstance(body, bytes)
        request = urllib.request.Request(
            f"{URL}/v2{path}",
            method=verb,
            data=body if raw or body is None else json.dumps(body).encode(),
            headers={
                "X-Auth-Token": token,
                "Content-Type": "application/octet-stream" if raw else "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = answer.read()
        return json.loads(said) if said.strip() else None

    def keep(self, token: str, name: str, archive: bytes, **more: Any) -> str:
        """A new image; returns its id."""
        body = {"name": name, "container_format": "docker", "disk_format": "raw"} | more
        made = self.ask(token, "POST", "/images", body)
        self.ask(token, "PUT", f"/images/{made['id']}/file", archive)
        return str(made["id"])

    def images(self, token: str) -> dict[str, dict[str, Any]]:
        """What a token's bearer sees, by id."""
        return {each["id"]: each for each in self.ask(token, "GET", "/images")["images"]}
