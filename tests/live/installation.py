"""One Dolium in a place of its own: started, killed, asked, stopped, and looked at from outside."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests import engines
from tests.live.place import Place, environment, until
from tests.perf import wire
from tests.perf.installation import credentials, token

API = ("127.0.0.1", 9517)
IMAGE = "cirros:latest"
CONFIG = {"agent": {"look_s": "2"}, "engine": {"execute_timeout_s": "20"}}
"""What differs from a user's: looks come oftener, and a busy machine may take its time."""

ENDS = ["sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]
"""A command that ends at once when asked to, which a bare `sleep` as first process does not."""


class Installation:
    """A state directory and the processes that work on it."""

    host: str | None = None

    def __init__(
        self,
        place: Place,
        name: str = "state",
        options: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.place = place
        self.beside = Counter(["dockerd", "containerd", "-m dolium.beside.keystone_server"])
        """Daemons it runs, by program or first arguments."""
        self.links: frozenset[str] = frozenset()
        self.state = place.folder / name
        self.log = place.folder / f"{name}.log"
        self._config = place.folder / f"{name}.conf"
        self._pid = place.folder / f"{name}.pid"
        self.process: subprocess.Popen[bytes] | None = None
        self.configure(options or {})

    def configure(self, options: Mapping[str, Mapping[str, str]]) -> None:
        """Write the configuration that the next start reads."""
        groups: dict[str, dict[str, str]] = {name: dict(group) for name, group in CONFIG.items()}
        for group, values in options.items():
            groups.setdefault(group, {}).update(values)
        lines = []
        for group, values in groups.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in values.items())]
        self._config.write_text("\n".join(lines) + "\n")

    # --- the command ---------------------------------------------------------------------------

    def command(self, verb: str, *more: str) -> list[str]:
        """A `dolium` command line, run inside."""
        where = ["--state-dir", str(self.state), "--config", str(self._config)]
        dolium = str(Path(sys.executable).with_name("dolium"))
        return self.place.command(dolium, verb, *where, *more)

    def said(self, verb: str, *more: str, check: bool = True) -> str:
        """What a short `dolium` command prints, on both ways out."""
        done = subprocess.run(
            self.command(verb, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            env=environment(),
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"dolium {verb} -> {done.returncode}: {done.stdout}")
        return done.stdout

    def start(self) -> None:
        """Start `dolium up`; does not wait."""
        self._pid.unlink(missing_ok=True)
        up = self.command("up")
        at = up.index("--") + 1
        tell = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(self._pid)]
        with self.log.open("ab") as told:
            self.process = subprocess.Popen(
                [*up[:at], *tell, *up[at:]],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env=environment(),
            )

    @property
    def pid(self) -> int:
        """Of Dolium itself, as a number inside."""
        text = until(
            lambda: self._pid.exists() and self._pid.read_text().strip(), "dolium has a pid"
        )
        return int(text)

    def ready(self, seconds: float = 90.0) -> None:
        """Wait until an administrator's request is answered."""
        until(self.answers, f"Dolium answers; see {self.log}", seconds, 0.05)
        self.place.mark(self.mark)

    def up(self) -> Installation:
        """Start, wait, and have the image that tests use."""
        self.start()
        self.ready()
        have = subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", "image", "inspect", IMAGE],
            capture_output=True,
            check=False,
        )
        if have.returncode:
            engines.load_image(str(self.socket), IMAGE)
        return self

    def answers(self) -> bool:
        """Whether an authenticated request is answered; fails when `dolium up` has ended."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"dolium up ended by itself:\n{self.tail()}")
        if not self.place.seen(self.state / "admin-openrc").exists():
            return False
        try:
            with self.client("admin") as client:
                return client.raw("GET", "/v1/containers?limit=1")[0] == 200
        except (OSError, wire.Refused):
            return False

    def kill(self) -> None:
        """SIGKILL to Dolium alone; Keystone, the engine and the containers go on."""
        assert self.process is not None
        self.place.kill(self.pid)
        self.process.wait(30)
        self.process = None

    def down(self) -> str:
        """Stop it as a person does; returns what was said."""
        said = self.said("down")
        if self.process is not None:
            self.process.wait(60)
            self.process = None
        return said

    def tail(self, lines: int = 60) -> str:
        """The end of what it said on the terminal and in its log."""
        told = []
        for path in (self.log, self.place.seen(self.state / "dolium.log")):
            if path.exists():
                text = path.read_text(errors="replace").splitlines()
                told += [f"--- {path.name}", *text[-lines:]]
        return "\n".join(told)

    def files(self) -> Iterator[Path]:
        """What Dolium keeps besides the engine; one that goes meanwhile breaks nothing."""
        root = self.place.seen(self.state)
        for folder, folders, names in os.walk(root):
            if folder == str(root):
                folders[:] = [name for name in folders if name != "engine"]
            yield from filter(Path.is_file, (Path(folder, name) for name in names))

    # --- people ----------------------------------------------------------------------------------

    def rc(self, who: str) -> dict[str, str]:
        """The variables of an openrc: of `demo` or `admin`."""
        name = "openrc" if who == "demo" else f"{who}-openrc"
        return credentials(self.place.seen(self.state / name))

    def token(self, who: str | dict[str, str] = "demo") -> str:
        """A fresh token, for a name as in `rc` or for an openrc's variables."""
        return token(self.rc(who) if isinstance(who, str) else who)[0]

    @contextmanager
    def client(
        self, who: str | dict[str, str] = "demo", known: str | None = None
    ) -> Iterator[wire.Client]:
        """A client of the API in its newest version; `known` is a token one has already."""
        client = self.connect(known or self.token(who))
        try:
            yield client
        finally:
            client.close()

    def connect(self, known: str, _number: int = 0) -> wire.Client:
        """The same with a token that one has, to be closed by who asked."""
        headers = {"X-Auth-Token": known, "OpenStack-API-Version": "container 1.40"}
        return wire.tcp(*API, headers)

    # --- what it made ----------------------------------------------------------------------------

    @property
    def deployment(self) -> str:
        """The id that everything of this installation bears."""
        return str(self.rows("SELECT uuid FROM deployment")[0]["uuid"])

    @property
    def mark(self) -> str:
        """The name of its engine, plugin and control groups."""
        return f"dolium-{self.deployment[:8]}"

    @property
    def socket(self) -> Path:
        """The engine's socket, for who is outside."""
        # The API answers a moment before `dolium up` writes down what it is ready with.
        file = self.place.seen(self.state / "running.json")
        until(file.exists, f"dolium up is ready; see {self.log}")
        told = json.loads(file.read_text())
        return self.place.seen(told["engine_socket"])

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What the `docker` command says of the engine."""
        return docker(self.socket, *arguments, check=check)

    def rows(
        self, query: str, *values: object, base: str = "dolium.sqlite"
    ) -> list[dict[str, Any]]:
        """Rows of its database, or of another one below the state directory."""
        path = self.place.seen(self.state / base)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def journal(self, kind: str) -> dict[str, Any]:
        """What the agent noted, by key."""
        query = "SELECT key, doc FROM entry WHERE kind = ?"
        found = self.rows(query, kind, base="agent/journal.sqlite")
        return {row["key"]: msgspec.json.decode(row["doc"]) for row in found}


def docker(socket: Path, *arguments: str, check: bool = True) -> str:
    """What the `docker` command says of the engine at a socket."""
    done = subprocess.run(
        ["docker", "-H", f"unix://{socket}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"docker {arguments}: {done.stdout}{done.stderr}")
    return done.stdout


class Owned:
    """Containers of one person, through the API. Not for several threads."""

    def __init__(self, client: wire.Client) -> None:
        self.client = client

    def create(self, name: str, *, run: bool = True, **spec: Any) -> str:
        """Ask for one; returns its id at once."""
        body = {"name": name, "image": IMAGE, "command": ENDS, "cpu": 0.1, "memory": "32"} | spec
        asked = self.client.ask("POST", f"/v1/containers?run={str(run).lower()}", body)
        return str(asked["uuid"])

    def show(self, uuid: str) -> dict[str, Any]:
        """All there is to see."""
        shown: dict[str, Any] = self.client.ask("GET", f"/v1/containers/{uuid}")
        return shown

    def act(self, uuid: str, verb: str, **params: Any) -> None:
        """One of the verbs that answer 202."""
        query = "&".join(f"{key}={value}" for key, value in params.items())
        self.client.ask("POST", f"/v1/containers/{uuid}/{verb}?{query}")

    def until(self, uuid: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a settled status; fails at once when it is an error instead."""

        def look() -> dict[str, Any] | None:
            shown = self.show(uuid)
            if shown["status"] == "Error" and "Error" not in statuses:
                raise AssertionError(f"{uuid} is in Error: {shown['status_reason']}")
            settled = shown["status"] in statuses and shown["task_state"] is None
            return shown if settled else None

        found = until(look, f"{uuid} is {' or '.join(statuses)}", seconds)
        assert found is not None
        return found

    def delete(self, *uuids: str, stop: bool = True) -> None:
        """Delete and wait until nothing is left of them."""
        for uuid in uuids:
            status, body = self.client.raw("DELETE", f"/v1/containers/{uuid}?stop={stop}")
            assert status in (204, 404), body
        for uuid in uuids:
            self.gone(uuid)

    def gone(self, uuid: str, seconds: float = 60.0) -> None:
        """Wait until it can't be found."""
        path = f"/v1/containers/{uuid}"
        until(lambda: self.client.raw("GET", path)[0] == 404, f"{uuid} is gone", seconds)

    def clear(self) -> None:
        """Delete all that this person sees."""
        found = self.client.ask("GET", "/v1/containers")["containers"]
        paused = [each["uuid"] for each in found if each["status"] == "Paused"]
        for uuid in paused:
            self.act(uuid, "unpause")
            self.until(uuid, "Running")
        self.delete(*(each["uuid"] for each in found))
