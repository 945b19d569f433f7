"""A cloud of many machines on one: a database server, Keystone, two APIs, two conductors and hosts
with engines of their own, each host in namespaces of its own, joined by a virtual switch.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import msgspec

from dolium.link.certificates import CERTIFICATE
from tests import engines
from tests.databases import Database
from tests.live.installation import IMAGE
from tests.live.place import Place, environment, until
from tests.perf import wire
from tests.perf.installation import credentials, token

SWITCH = "10.77.0.1"
"""Address of the control side's machine."""
APIS = (9517, 9527)
CONDUCTORS = 2
UP_S = 60.0
Groups = Mapping[str, Mapping[str, object]]

DOLIUM = str(Path(sys.executable).with_name("dolium"))


class Process:
    """One `dolium serve`, somewhere."""

    def __init__(self, place: Place, name: str, role: str, config: Groups) -> None:
        self.place, self.name, self.role = place, name, role
        self.state = place.folder / name
        self.config = place.folder / f"{name}.conf"
        self.log = place.folder / f"{name}.log"
        self._pidfile = place.folder / f"{name}.pid"
        self.process: subprocess.Popen[bytes] | None = None
        own: Groups = {"DEFAULT": {"state_dir": str(self.state)}}
        self.config.write_text(_text(_merged(own, config)))

    def command(self, *words: str) -> list[str]:
        """A `dolium` command line with this one's configuration, run there."""
        return self.place.command(DOLIUM, *words, "--config", str(self.config))

    def said(self, *words: str, given: str | None = None) -> str:
        """What a short command prints."""
        done = subprocess.run(
            self.command(*words),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, f"dolium {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> Process:
        """Does not wait."""
        self._pidfile.unlink(missing_ok=True)
        tell = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(self._pidfile)]
        command = [*tell, DOLIUM, "serve", "--role", self.role, "--config", str(self.config)]
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
        place = Place()
        self.cloud, self.address = cloud, f"10.77.0.{10 + number}"
        name = f"h{number}"
        own: Groups = {
            "DEFAULT": {"host": name},
            "link": {
                "url": ",".join(cloud.links),
                "agent_listen": self.address,
            },
            "agent": {"look_s": 2},
            "place": {"rack": f"r{number % 2}"},
        }
        super().__init__(place, name, "agent", _merged(own, config))
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

    @property
    def engine(self) -> Path:
        """Its engine's socket, for who is outside."""
        run = self.place.seen("/run")
        found = until(
            lambda: sorted(run.glob("dolium-*/engine/docker.sock")), f"an engine on {self.name}"
        )
        return found[0]

    def load(self) -> None:
        """The image that tests use."""
        self.place.mark(self.engine.parents[1].name)
        until(lambda: self.engine.is_socket(), "its socket")
        engines.load_image(str(self.engine), IMAGE)

    def running(self) -> list[str]:
        """Containers of ours that run here: their engine's names."""
        done = subprocess.run(
            ["docker", "-H", f"unix://{self.engine}", "ps", "--format", "{{.Names}}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.split()

    def close(self) -> None:
        """Gone with all that is on it."""
        super().close()
        self.place.__exit__()


class Cloud:
    """All of it; use `cloud(...)`."""

    def __init__(self, place: Place, database: Database, stack: ExitStack, config: Groups) -> None:
        self.place, self.database, self._stack = place, database, stack
        self._config = config
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
                "DEFAULT": {"host": "control"},
                "database": {"connection": url.render_as_string(hide_password=False)},
                "keystone": {
                    "auth_url": keystone["auth_url"],
                    "username": keystone["username"],
                    "password": keystone["password"],
                    "project_name": keystone["project_name"],
                },
                "link": {"listen": SWITCH, "ca_dir": str(self.ca)},
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
            self._process(f"conductor{n}", "conductor", {"link": {"port": 0}})
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
        return Process(self.place, name, role, _merged(self._base, config))

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
        return made

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

    def rc(self, who: str = "demo") -> dict[str, str]:
        """The variables of an openrc: of `demo` or `admin`."""
        name = "openrc" if who == "demo" else f"{who}-openrc"
        return credentials(self.identity / name) | {"OS_CACERT": str(self.ca / CERTIFICATE)}

    @contextmanager
    def client(self, who: str = "demo", api: int = 0) -> Iterator[wire.Client]:
        """A client of one of the APIs."""
        context = ssl.create_default_context(cafile=str(self.ca / CERTIFICATE))
        headers = {
            "X-Auth-Token": token(self.rc(who))[0],
            "OpenStack-API-Version": "container 1.40",
        }
        connection = HTTPSConnection(SWITCH, APIS[api], timeout=60, context=context)
        made = wire.Client(connection, headers)
        try:
            yield made
        finally:
            made.close()

    def tail(self) -> str:
        """What everybody said last."""
        return "\n".join(each.tail() for each in [*self.processes, *self.hosts])


@contextmanager
def cloud(kind: type[Database], hosts: int, config: Groups | None = None) -> Iterator[Cloud]:
    """One that answers; nothing is left of it."""
    with ExitStack() as stack:
        place = stack.enter_context(Place())
        database = kind()
        stack.callback(database.close)
        database.start()
        made = Cloud(place, database, stack, config or {})
        made.build(hosts)
        yield made


def _merged(one: Groups, other: Groups) -> dict[str, dict[str, object]]:
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in {**one, **other}}


def _text(groups: Groups) -> str:
    lines: list[str] = []
    for group, values in groups.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    return "\n".join(lines)
