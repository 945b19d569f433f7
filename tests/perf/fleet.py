"""A cloud without machines: a database server, real `dolium serve` processes, agents that only
speak the link (agents.py). Everything is on 127.0.0.1, and needs no root but PostgreSQL's.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import msgspec
import sqlalchemy as sa

from dolium import __version__
from dolium.control.containers import Containers
from dolium.control.members import Members
from dolium.drivers.network.bridge import Bridge
from dolium.link import certificates
from dolium.link.https_control import Own
from dolium.link.peers import Peers
from dolium.model.clock import SystemClock
from dolium.model.context import Context
from dolium.store import deployments, upgrade
from dolium.store.members import Member
from dolium.store.schema import enrolments
from dolium.store.server import Server, engine
from tests.databases import Database, MariaDb
from tests.perf import population, wire
from tests.perf.agents import Report

PROJECT = 100
"""Containers of one project at most: a project's network has 190 addresses."""
OPTIONS = {
    "mariadb": ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M"),
    "postgresql": ("-c", "shared_buffers=1GB", "-c", "max_wal_size=2GB"),
}
"""What anybody gives a server of that many rows; commits are on disk before they are told."""
PATIENCE_S = 600.0
DOLIUM = str(Path(sys.executable).with_name("dolium"))


class Served:
    """One `dolium serve` that can be killed and started again."""

    def __init__(self, folder: Path, name: str, role: str, config: str) -> None:
        self.name, self.role = name, role
        self._config, self._log = folder / f"{name}.conf", folder / f"{name}.log"
        self._config.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Does not wait."""
        command = [DOLIUM, "serve", "--role", self.role, "--config", str(self._config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def ready(self) -> None:
        """Wait until it says so."""
        wire.wait(self._ready, f"{self.name} is ready")

    def _ready(self) -> bool:
        said = self._log.read_text(errors="replace")
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended:\n{said}")
        return f"{self.role} is ready" in said

    def said(self) -> str:
        """Its log."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL; one that has ended is fine."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class Agents:
    """The process of all agents."""

    def __init__(self, folder: Path, number: int, urls: Sequence[str]) -> None:
        self._folder, self._number = folder, number
        words = [str(folder / "ca"), str(number), *urls]
        with (folder / "agents.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.perf.agents", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answer("made")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def go(self) -> None:
        """All at once: hello."""
        self._tell("go")

    def report(self) -> Report:
        """What has happened so far."""
        file = self._folder / "report"
        self._tell(f"report {file}")
        return msgspec.json.decode(file.read_bytes(), type=Report)

    def met(self) -> None:
        """Wait until every agent knows its wishes and has told what it knows."""
        _until(lambda: self.report().told == self._number, "every agent has told all", 0.25)

    def kill(self) -> None:
        """All machines lose their power."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        pipe: IO[str] | None = self._process.stdin
        assert pipe is not None
        pipe.write(f"{line}\n")
        pipe.flush()
        self._answer(line.partition(" ")[0])

    def _answer(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"agents said {said!r}: {(self._folder / 'agents.log').read_text()}")


class Fleet:
    """Use `fleet(...)`."""

    def __init__(
        self, folder: Path, database: Database, hosts: int, containers: int, processes: int
    ) -> None:
        self.folder, self.database, self.hosts = folder, database, hosts
        self._url = database.make("dolium")
        upgrade.upgrade(self._url)
        self.store = Server(self._url, connections=32)
        certificates.found(folder / "ca", time.time())
        self._fill(containers)
        ports = _free(2 * processes)
        self.urls = [f"https://127.0.0.1:{port}" for port in ports[:processes]]
        apis = [
            Served(folder, f"api{at}", "api", self._config(ports[at], ports[processes + at]))
            for at in range(processes)
        ]
        self.conductors = [
            Served(folder, f"conductor{at}", "conductor", self._config(0, 9517))
            for at in range(processes)
        ]
        self.control = [*apis, *self.conductors]

    def _fill(self, containers: int) -> None:
        """Hosts, and running containers on them."""
        clock, projects = SystemClock(), max(1, containers // PROJECT)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            file = Path(memory, "db")
            population.running(
                file,
                hosts=self.hosts,
                each=containers // projects,
                projects=projects,
                driver=Bridge(),
            )
            population.pour(file, self.store)
        rows = [
            {"host": f"h{at}", "generation": 1, "updated_at": clock.now()}
            for at in range(self.hosts)
        ]
        self.store.write(lambda tx: tx.run(enrolments.insert(), rows))
        deployments.ensure(self.store, clock.now())

    def _config(self, link: int, api: int) -> str:
        url = self._url.render_as_string(hide_password=False)
        lines = [
            *("[DEFAULT]", "host = control", f"state_dir = {self.folder}"),
            *("[database]", f"connection = {url}"),
            *("[keystone]", "auth_url = http://127.0.0.1:9", "password = none"),
            *("[api]", f"port = {api}"),
            *(
                "[link]",
                f"port = {link}",
                f"conductor_port = {link}",
                f"ca_dir = {self.folder / 'ca'}",
            ),
        ]
        return "\n".join(lines)

    def start(self) -> None:
        """The control side; returns when it is ready."""
        for process in self.control:
            process.start()
        for process in self.control:
            process.ready()

    @contextmanager
    def agents(self) -> Iterator[Agents]:
        """A process of agents that have not said hello yet."""
        made = Agents(self.folder, self.hosts, self.urls)
        try:
            yield made
        finally:
            made.kill()

    @contextmanager
    def client(self) -> Iterator[Containers]:
        """What API processes do with a request, in this process: it writes wishes, and wakes the
        other processes.
        """
        clock = SystemClock()
        me = Member(
            id="bench",
            role="api",
            host="bench",
            address="",
            version=__version__,
            started_at=clock.now(),
        )
        members = Members(self.store, clock, me)
        members.turn()
        peers = Peers(Own(self.folder / "ca", "bench", clock).identity, partial(_turned, members))
        peers.start()
        self.store.hints.forward = lambda topic: _forward(peers, topic)
        try:
            yield Containers(self.store, clock, population.UNLIMITED, random.Random(1))
        finally:
            self.store.hints.forward = None
            peers.stop()

    def unsettled(self) -> int:
        """Containers whose present wish is not carried out yet."""
        return self.count("observed_generation < generation OR stage = 'waiting'")

    def count(self, where: str) -> int:
        """Containers that."""
        query = sa.text(f"SELECT count(*) FROM containers WHERE {where}")
        with self.store.glance() as connection:
            return int(connection.execute(query).scalar_one())

    def settle(self) -> None:
        """Wait until every wish is carried out."""
        _until(lambda: not self.unsettled(), "every wish is carried out", 0.1)

    def statements(self) -> int:
        """How many the database server was given so far, BEGIN and COMMIT among them; 0 where it
        does not count them.
        """
        if not isinstance(self.database, MariaDb):
            return 0
        made = engine(self.database.url(self.database.administration))
        with made.connect() as connection:
            row = connection.execute(sa.text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()
        made.dispose()
        return int(row[1])

    def cpu(self, agents: Agents) -> dict[str, float]:
        """Seconds used so far, by kind of process."""
        used = self.cpu_of_others(agents)
        for process in self.control:
            used[process.role] = used.get(process.role, 0.0) + wire.cpu_seconds(process.pid)
        return used

    def cpu_of_others(self, agents: Agents) -> dict[str, float]:
        """The same without the control side."""
        server = self.database.process
        assert server is not None
        return {
            "database": _family(server.pid),
            "agents": wire.cpu_seconds(agents.pid),
            "writer": time.process_time(),
        }


@contextmanager
def fleet(
    hosts: int, containers: int, kind: type[Database] = MariaDb, processes: int = 2
) -> Iterator[Fleet]:
    """One that is filled, and not started; nothing is left of it.

    processes: so many of `api` and of `conductor` each.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dolium-bench-"))
        database = kind(*OPTIONS[kind.name])
        stack.callback(database.close)
        database.start()
        made = Fleet(Path(folder), database, hosts, containers, processes)
        stack.callback(made.store.close)
        for process in made.control:
            stack.callback(process.kill)
        yield made


def context(project: str) -> Context:
    """A user of the project."""
    return Context(user_id="user", project_id=project, request_id=f"req-{time.time_ns()}")


def _turned(members: Members) -> list[tuple[str, int]]:
    members.turn()
    return members.peers()


def _forward(peers: Peers, topic: str) -> None:
    if topic == "placer" or topic.startswith("host:"):
        peers.send(topic)


def _free(number: int) -> list[int]:
    """Ports that nobody has."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in found]


def _family(pid: int) -> float:
    """CPU time of a server's process and of all that it has started, ended ones too."""
    total = wire.cpu_seconds(pid)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(wire.cpu_seconds(int(child)) for child in children)


def _until(condition: Callable[[], bool], what: str, step_s: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(step_s)
