"""A cloud of many machines on one: a database server, Keystone, two APIs, two conductors and hosts
with engines of their own, each host in namespaces of its own, joined by a virtual switch.
"""

from __future__ import annotations

import signal
import sqlite3
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from dolium.link.certificates import CERTIFICATE
from dolium.store.server import engine
from tests import engines
from tests.databases import Database
from tests.live.installation import IMAGE, docker
from tests.live.place import Place, environment, until
from tests.perf import wire
from tests.perf.installation import credentials, token

SWITCH = "10.77.0.1"
"""Address of the control side's machine."""
APIS = (9517, 9527)
CONDUCTORS = 2
UP_S = 60.0
STATE_MIB = 400
"""Of a host's disk, so that it can be filled."""
Groups = Mapping[str, Mapping[str, object]]

DOLIUM = str(Path(sys.executable).with_name("dolium"))


class Process:
    """One `dolium serve`, somewhere."""

    def __init__(
        self, place: Place, name: str, role: str, config: Groups, program: str = DOLIUM
    ) -> None:
        self.place, self.name, self.role = place, name, role
        self.program = program
        """The `dolium` it is, at its next start."""
        self.state = place.folder / name
        self.config = place.folder / f"{name}.conf"
        self.log = place.folder / f"{name}.log"
        self._pidfile = place.folder / f"{name}.pid"
        self._clock = place.folder / f"{name}.clock"
        self.jump(0)
        self.process: subprocess.Popen[bytes] | None = None
        own: Groups = {"DEFAULT": {"state_dir": str(self.state)}}
        self.config.write_text(_text(_merged(own, config)))

    def command(self, *words: str) -> list[str]:
        """A `dolium` command line with this one's configuration, run there."""
        return self.place.command(self.program, *words, "--config", str(self.config))

    def said(self, *words: str, given: str | None = None, status: int = 0) -> str:
        """What a short command prints; of one that fails, what it complains about."""
        done = subprocess.run(
            self.command(*words),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
            check=False,
        )
        assert done.returncode == status, f"dolium {words}: {done.stdout}{done.stderr}"
        return done.stderr if status else done.stdout

    def start(self) -> Process:
        """Does not wait."""
        self._pidfile.unlink(missing_ok=True)
        tell = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(self._pidfile)]
        python = str(Path(self.program).with_name("python"))
        skewed = [python, str(Path(__file__).with_name("skewed.py")), str(self._clock)]
        command = [*tell, *skewed, "serve", "--role", self.role, "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.place.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
            )
        return self

    def ready(self, seconds: float = UP_S) -> Process:
        """Wait until it says so, once more than before."""
        mark = f"{self.role} is ready"

        def look() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} has ended:\n{self.tail()}"
            return mark in self.log.read_text(errors="replace")

        until(look, f"{self.name} is ready:\n{self.tail()}", seconds)
        return self

    def signal(self, number: int) -> None:
        """To it alone; one that has ended is fine."""
        pid = until(
            lambda: self._pidfile.exists() and self._pidfile.read_text().strip(), "it has a pid"
        )
        self.place.kill(int(pid), number)
        if number != signal.SIGSTOP and self.process is not None:
            self.process.send_signal(signal.SIGCONT)  # nsenter halts together with its child

    def jump(self, seconds: int) -> None:
        """Its wall clock differs from everybody's by so much from now on; no other clock does."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._clock)

    @property
    def about(self) -> Path:
        """What the kernel says of it: its folder of /proc."""
        return self.place.root / "proc" / self._pidfile.read_text().strip()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.signal(9)
        self.process.wait(30)
        self.process = None
        self.log.write_text("")  # so that `ready` waits for the next start

    def end(self) -> None:
        """Stop in order."""
        assert self.process is not None
        self.signal(15)
        assert self.process.wait(60) == 0, self.tail()
        self.process = None
        self.log.write_text("")

    def close(self) -> None:
        """Nothing of it stays."""
        if self.process is not None:
            self.signal(9)
            self.process.wait(30)
            self.process = None

    def tail(self, lines: int = 40) -> str:
        """The end of what it said."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([f"--- {self.name}", *text.splitlines()[-lines:]])


class Host(Process):
    """A machine with an agent."""

    def __init__(self, cloud: Cloud, number: int, config: Groups) -> None:
        place = Place(STATE_MIB)
        self.cloud, self.address = cloud, f"10.77.0.{10 + number}"
        self.beside = Counter(["dockerd", "containerd"])
        self.links = frozenset(["up0"])
        self.host: str | None = f"h{number}"
        name = f"h{number}"
        own: Groups = {
            "DEFAULT": {
                "host": name,
                "state_dir": str(place.folder / "state"),
                "min_free_mib": 50,
            },
            "link": {
                "url": ",".join(cloud.links),
                "agent_listen": self.address,
            },
            "agent": {"look_s": 2},
            "place": {"rack": f"r{number % 2}"},
        }
        super().__init__(place, name, "agent", _merged(own, config), cloud.program)
        self.state = place.folder / "state"
        self._join()
        offered = cloud.control.said("host", "token", name).strip()
        self.said("enrol", "--token-file", "-", given=offered)

    def _join(self) -> None:
        """A cable from the switch to this machine."""
        # Without the switch's process namespace, where this machine's number means nothing.
        there = ["nsenter", "-t", str(self.cloud.place.holder), "-n"]
        cable = ["ip", "link", "add", self.name, "type", "veth"]
        end = ["peer", "name", "up0", "netns", str(self.place.holder)]
        subprocess.run([*there, *cable, *end], check=True)
        self.plug()
        self.place.run("ip", "address", "add", f"{self.address}/24", "dev", "up0")
        self.place.run("ip", "link", "set", "up0", "up")

    def plug(self) -> None:
        """The cable is in."""
        self.cloud.place.run("ip", "link", "set", self.name, "master", "hub", "up")

    def unplug(self) -> None:
        """The cable is out; nobody is told."""
        self.cloud.place.run("ip", "link", "set", self.name, "nomaster", "down")

    def fill(self) -> None:
        """Its disk is full, to the last block."""
        sizes = " ".join(
            f"dd if=/dev/zero of={self._ballast} bs={size} oflag=append conv=notrunc 2>/dev/null;"
            for size in ("1M", "1k")
        )
        self.place.run("sh", "-c", f"{sizes} true")

    def clear(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.state / "ballast"

    @property
    def engine(self) -> Path:
        """Its engine's socket, for who is outside."""
        run = self.place.seen("/run")
        found = until(
            lambda: sorted(run.glob("dolium-*/engine/docker.sock")), f"an engine on {self.name}"
        )
        return found[0]

    # --- as matches.Machine ---------------------------------------------------------------------

    @property
    def mark(self) -> str:
        """The name of its engine and control groups."""
        return self.engine.parents[1].name

    @property
    def deployment(self) -> str:
        """The id that everything bears."""
        return str(self.rows("SELECT uuid FROM deployment")[0]["uuid"])

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Of the cloud's database."""
        return self.cloud.rows(query)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What its engine says."""
        return docker(self.engine, *arguments, check=check)

    def journal(self, kind: str) -> dict[str, Any]:
        """What its agent noted, by key."""
        path = self.state / "agent" / "journal.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            query = "SELECT key, doc FROM entry WHERE kind = ?"
            return {key: msgspec.json.decode(doc) for key, doc in database.execute(query, [kind])}

    # --- the rest --------------------------------------------------------------------------------

    def load(self) -> None:
        """The image that tests use."""
        self.place.mark(self.engine.parents[1].name)
        until(lambda: self.engine.is_socket(), "its socket")
        engines.load_image(str(self.engine), IMAGE)

    def running(self) -> list[str]:
        """Containers of ours that run here: their engine's names."""
        return self.docker("ps", "--format", "{{.Names}}").split()

    def close(self) -> None:
        """Gone with all that is on it."""
        super().close()
        self.place.__exit__()


class Cloud:
    """All of it; use `cloud(...)`."""

    def __init__(
        self,
        place: Place,
        database: Database,
        stack: ExitStack,
        config: Groups,
        program: str = DOLIUM,
    ) -> None:
        self.place, self.database, self._stack = place, database, stack
        self._config, self.program = config, program
        self.identity = place.folder / "identity"
        self.ca = place.folder / "ca"
        self.links = [f"https://{SWITCH}:{port + 1}" for port in APIS]
        self.hosts: list[Host] = []

    def build(self, hosts: int) -> None:
        """Everything, as the how-to has it."""
        place = self.place
        place.run("ip", "link", "add", "hub", "type", "bridge")
        place.run("ip", "address", "add", f"{SWITCH}/24", "dev", "hub")
        place.run("ip", "link", "set", "hub", "up")
        keystone = self._keystone()
        url = self.database.make("dolium")
        self._base: Groups = _merged(
            {
                "DEFAULT": {
                    "host": "control",
                    "secret_key_file": str(place.folder / "secrets.key"),
                },
                "database": {"connection": url.render_as_string(hide_password=False)},
                "keystone": {
                    "auth_url": keystone["auth_url"],
                    "username": keystone["username"],
                    "password": keystone["password"],
                    "project_name": keystone["project_name"],
                },
                "link": {"listen": SWITCH, "ca_dir": str(self.ca)},
                # A busy machine may take its time.
                "engine": {"execute_timeout_s": 20},
            },
            self._config,
        )
        self.apis = [
            self._process(
                f"api{port}",
                "api",
                {"api": {"listen": SWITCH, "port": port}, "link": {"port": port + 1}},
            )
            for port in APIS
        ]
        self.conductors = [
            self._process(f"conductor{n}", "conductor", {"link": {"port": 0, "conductor_port": 0}})
            for n in range(CONDUCTORS)
        ]
        self.control = self.apis[0]
        self.control.said("ca", "init")
        self.control.said("db", "sync")
        for process in self.processes:
            self._stack.callback(process.close)
            process.start()
        for process in self.processes:
            process.ready()
        self.grow(hosts)

    def _process(self, name: str, role: str, config: Groups) -> Process:
        return Process(self.place, name, role, _merged(self._base, config), self.program)

    def proxy(self, config: Groups) -> Process:
        """A websocket proxy besides, not started."""
        made = self._process("wsproxy", "wsproxy", config)
        self._stack.callback(made.close)
        return made

    @property
    def processes(self) -> list[Process]:
        """Those of the control side."""
        return [*self.apis, *self.conductors]

    def grow(self, number: int, config: Groups | None = None) -> list[Host]:
        """More hosts."""
        first = len(self.hosts) + 1
        made = []
        for at in range(first, first + number):
            host = Host(self, at, config or {})
            self._stack.callback(host.close)
            self.hosts.append(host)
            made.append(host)
            host.start()
        for host in made:
            host.ready()
            host.load()
            # An agent is ready before it has said hello, and only then may containers be there.
            until(partial(self._knows, host.name), f"{host.name} has enrolled")
        return made

    def _knows(self, host: str) -> bool:
        return {"name": host} in self.rows("SELECT name FROM hosts")

    def _keystone(self) -> dict[str, Any]:
        log = self._stack.enter_context((self.place.folder / "identity.log").open("ab"))
        url = f"https://{SWITCH}:{APIS[0]}/v1"
        command = [sys.executable, "-m", "tests.live.identity", str(self.identity), url]
        process = subprocess.Popen(
            self.place.command("env", "-C", str(Path(__file__).parents[2]), *command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        told = self.identity / "service.json"
        until(told.exists, "Keystone answers")
        found: dict[str, Any] = msgspec.json.decode(told.read_bytes())
        return found

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Of the database."""
        made = engine(self.database.url("dolium"))
        try:
            with made.connect() as connection:
                return [dict(row._mapping) for row in connection.execute(sa.text(query))]
        finally:
            made.dispose()

    def rc(self, who: str = "demo") -> dict[str, str]:
        """The variables of an openrc: of `demo` or `admin`."""
        name = "openrc" if who == "demo" else f"{who}-openrc"
        return credentials(self.identity / name) | {"OS_CACERT": str(self.ca / CERTIFICATE)}

    @contextmanager
    def client(self, who: str = "demo", api: int = 0) -> Iterator[wire.Client]:
        """A client of one of the APIs."""
        made = self.connect(self.token(who), api)
        try:
            yield made
        finally:
            made.close()

    def token(self, who: str = "demo") -> str:
        """A fresh one."""
        return token(self.rc(who))[0]

    def connect(self, known: str, number: int = 0) -> wire.Client:
        """A client with a token, of one of the APIs; to be closed by who asked."""
        context = ssl.create_default_context(cafile=str(self.ca / CERTIFICATE))
        headers = {"X-Auth-Token": known, "OpenStack-API-Version": "container 1.40"}
        port = APIS[number % len(APIS)]
        return wire.Client(HTTPSConnection(SWITCH, port, timeout=60, context=context), headers)

    def tail(self, lines: int = 40) -> str:
        """What everybody said last."""
        told = (self.database.folder / "log").read_text(errors="replace").splitlines()
        database = "\n".join(["--- database", *told[-lines:]])
        return "\n".join([database, *(each.tail(lines) for each in [*self.processes, *self.hosts])])


@contextmanager
def cloud(
    kind: type[Database], hosts: int, config: Groups | None = None, program: str = DOLIUM
) -> Iterator[Cloud]:
    """One that answers, of this `dolium` or another; nothing is left of it."""
    with ExitStack() as stack:
        place = stack.enter_context(Place())
        database = kind()
        stack.callback(database.close)
        database.start()
        made = Cloud(place, database, stack, config or {}, program)
        made.build(hosts)
        yield made


def _merged(one: Groups, other: Groups) -> dict[str, dict[str, object]]:
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in {**one, **other}}


def _text(groups: Groups) -> str:
    lines: list[str] = []
    for group, values in groups.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    return "\n".join(lines)
