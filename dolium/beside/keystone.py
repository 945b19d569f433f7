"""Keystone beside Dolium, seen from Dolium: its files, its life, and who may sign in.

Keystone is the real one from PyPI on SQLite, one process on loopback (`keystone_server`). What it
shall contain is written to `wish.json`; the child makes it so before it serves. Files change only
while no Keystone runs, so a running one always has what the files say.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dolium.beside import errors, files, keystone_files, ports
from dolium.beside.keystone_files import Credentials
from dolium.beside.process import Process, environment
from dolium.beside.watch import Watch

ROUNDS = 10
"""bcrypt rounds of passwords that people choose: 65 ms of CPU per sign-in, the least that OWASP
advises; Keystone's own default of 12 costs 260 ms. Dolium's own passwords: `keystone_content.py`.
"""


VARIABLES = {
    "EVENTLET_NO_GREENDNS": "yes",  # Keystone imports eventlet unused; its DNS costs 0.15 s, 7 MB
    "PYTHONWARNINGS": "ignore",  # its libraries' deprecations are nobody's business here
}


class Keystone:
    """The identity service of the all-in-one.

    Args:
        state_dir: gets the folder `keystone` and, for clients, `clouds.yaml`, `openrc` and
            `admin-openrc`.
        address, port: where it listens.
        region: the one region of the catalog.
        services: the catalog besides Keystone itself, service type to URL.
        rounds: bcrypt rounds of passwords that people choose.
        python: the interpreter that has Keystone installed.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 5000,
        region: str = "RegionOne",
        services: Mapping[str, str] | None = None,
        rounds: int = ROUNDS,
        python: str = sys.executable,
    ) -> None:
        self.folder = state_dir / "keystone"
        self.auth_url = f"http://{address}:{port}/v3"
        self._state_dir = state_dir
        self._address, self._port = address, port
        self._region = region
        self._services = dict(services or {"container": "http://127.0.0.1:9517/v1"})
        self._rounds = rounds
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self.process = Process(
            "Keystone",
            [python, "-m", "dolium.beside.keystone_server", "--config", str(self.folder)],
            pidfile=self.folder / "keystone.pid",
            log=self.folder / "keystone.log",
            environment=environment() | VARIABLES,
        )

    def start(self, timeout: float = 60.0) -> str:
        """Make it run and answer; returns one sentence of what was done. Idempotent."""
        begun = time.monotonic()
        adopted = self.launch()
        self.wait(timeout)
        if adopted:
            return f"Keystone still runs at {self.auth_url} (pid {self.process.pid})"
        return f"Keystone started at {self.auth_url} in {time.monotonic() - begun:.1f} s"

    def launch(self) -> bool:
        """Begin to start it, so that other work goes on meanwhile; True if it was running already.

        Raises KeystoneMissing, PortTaken.
        """
        with self._lock:
            files.folder(self._state_dir)
            files.folder(self.folder)
            texts = self._texts()
            if self.process.adopt():
                if all(files.same(path, text) for path, text in texts.items()) and self._answers():
                    return True
                self.process.stop()
            if importlib.util.find_spec("keystone") is None:
                raise errors.KeystoneMissing()
            ports.check(self._address, self._port)
            for path, text in texts.items():
                if not files.same(path, text):
                    files.write(path, text)
            keystone_files.keys(self.folder)
            self.process.start()
            return False

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until it answers; raises KeystoneDied with the reason from its log.

        The child listens before it can answer, so this is one request that waits, not a poll.
        """
        deadline = time.monotonic() + timeout
        while not self._answers(max(0.1, deadline - time.monotonic())):
            if not self.process.alive():
                raise errors.KeystoneDied(why=self._reason(), log=self.process.log)
            if time.monotonic() > deadline:
                why = f"it did not answer within {timeout:.0f} s"
                raise errors.KeystoneDied(why=why, log=self.process.log)
            time.sleep(0.01)  # it does not listen yet

    def watch(self, say: Callable[[str], None]) -> None:
        """Keep it running from now on; `say` gets one sentence each time it had to be revived."""
        self._watch = Watch(self.process, self.start, say)
        self._watch.start()

    def release(self) -> None:
        """Stop watching and leave it running, to be found by the next start."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def stop(self, timeout: float = 10.0) -> None:
        """End it. Idempotent."""
        self.release()
        with self._lock:
            self.process.adopt()
            self.process.stop(timeout)

    def credentials(self, name: str) -> Credentials:
        """Of `admin`, `demo` or `dolium` (the service user for keystonemiddleware)."""
        words = keystone_files.passwords(self.folder / "passwords.json")
        project = keystone_files.USERS[name]
        return Credentials(self.auth_url, name, words[name], project, self._region)

    def _texts(self) -> dict[Path, str]:
        demo, admin = self.credentials("demo"), self.credentials("admin")
        wish = {
            "address": self._address,
            "port": self._port,
            "region": self._region,
            "services": {"identity": self.auth_url, **self._services},
            "passwords": {n: self.credentials(n).password for n in keystone_files.USERS},
        }
        clouds = keystone_files.clouds({"dolium": demo, "dolium-admin": admin})
        return {
            self.folder / "keystone.conf": keystone_files.configuration(self.folder, self._rounds),
            self.folder / "wish.json": json.dumps(wish, indent=2) + "\n",
            self._state_dir / "clouds.yaml": clouds,
            self._state_dir / "openrc": keystone_files.openrc(demo),
            self._state_dir / "admin-openrc": keystone_files.openrc(admin),
        }

    def _answers(self, timeout: float = 5.0) -> bool:
        import http.client  # a fifth of what is loaded before Keystone starts, which is the slowest

        connection = http.client.HTTPConnection(self._address, self._port, timeout=timeout)
        try:
            connection.request("GET", "/v3")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _reason(self) -> str:
        said = self.process.said()
        for line in said:
            if " CRITICAL " in line:
                return line.partition(" CRITICAL ")[2].partition("] ")[2]
        return said[-1] if said else "it said nothing"
