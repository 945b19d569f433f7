"""Real MariaDB and PostgreSQL servers for tests: data folders of their own, no network at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa

from dolium.store import upgrade
from dolium.store.schema import metadata
from dolium.store.server import Server, engine
from dolium.store.store import Tx

START_S = 60.0


class Database:
    """One server: `start`, `kill`, start again; `close` leaves nothing."""

    name: ClassVar[str]
    title: ClassVar[str]
    """As people write it."""
    programs: ClassVar[tuple[str, ...]]
    user: ClassVar[str] = "root"
    """Whom the server runs as."""

    def __init__(self, *options: str) -> None:
        """options: more of the server's own."""
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix=f"dolium-{self.name}-"))
        shutil.chown(self.folder, self.user)
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """What is not installed; empty when all is."""
        return " ".join(name for name in cls.programs if not _program(name))

    def prepare(self) -> None:
        """Make the data folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """That serves, in the foreground."""
        raise NotImplementedError

    def url(self, name: str) -> sa.URL:
        """Of one of its databases."""
        raise NotImplementedError

    def start(self) -> Database:
        """Returns when it answers."""
        self.begin()
        return self.ready()

    def begin(self) -> None:
        """Its process runs."""
        if not (self.folder / "data").exists():
            self.prepare()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, user=self.user, start_new_session=True
            )

    def ready(self) -> Database:
        """Returns when it answers."""
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while True:
            if self.answers():
                return self
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()) from None
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it takes statements."""
        try:
            self.execute("SELECT 1")
        except sa.exc.OperationalError:
            return False
        return True

    def execute(self, text: str) -> None:
        """As the server's administrator."""
        made = engine(self.url(self.administration))
        try:
            with made.connect() as connection:
                connection.execute(sa.text(text))
        finally:
            made.dispose()

    administration: ClassVar[str]
    """The database that is there from the start."""

    def make(self, name: str) -> sa.URL:
        """A new, empty database."""
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def kill(self) -> None:
        """As a power cut would, but for the disk's cache."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, user=self.user, cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _runs(pid: str) -> bool:
    """Whether it is a process, and not only what is left until somebody asks how it ended."""
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())
    except OSError:
        return False


class MariaDb(Database):
    """Debian's mariadb-server-core and mariadb-client-core."""

    name, title = "mariadb", "MariaDB"
    programs = ("mariadbd", "mariadb-install-db", "my_print_defaults")
    administration = "mysql"

    def prepare(self) -> None:
        """Make the data folder."""
        self._run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self.folder}/data",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
            "--user=root",
        )

    def command(self) -> list[str]:
        """That serves."""
        return [
            "mariadbd",
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--socket={self.folder}/socket",
            "--skip-networking",
            "--user=root",
            "--max-connections=400",
            *self.options,
        ]

    def answers(self) -> bool:
        """Not asked before it listens: PyMySQL keeps the socket of a refused connection open."""
        return (self.folder / "socket").exists() and super().answers()

    def kill(self) -> None:
        """Its socket stays, and would be asked."""
        super().kill()
        (self.folder / "socket").unlink(missing_ok=True)

    def url(self, name: str) -> sa.URL:
        """Of one of its databases."""
        return sa.URL.create(
            "mariadb+pymysql",
            username="root",
            database=name,
            query={"unix_socket": str(self.folder / "socket")},
        )


class PostgreSql(Database):
    """Debian's postgresql, whose programs are not on PATH."""

    name, title = "postgresql", "PostgreSQL"
    programs = ("postgres", "initdb")
    user = "postgres"
    administration = "postgres"

    def prepare(self) -> None:
        """Make the data folder."""
        self._run(
            _program("initdb"),
            f"--pgdata={self.folder}/data",
            "--username=dolium",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )

    def command(self) -> list[str]:
        """That serves."""
        data = f"{self.folder}/data"
        quiet = ["-c", "listen_addresses=", "-c", "max_connections=400"]
        return [_program("postgres"), "-D", data, "-k", str(self.folder), *quiet, *self.options]

    def kill(self) -> None:
        """All its processes: as long as one of them is left, the next server refuses to start."""
        assert self.process is not None
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)  # no more of them
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        super().kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        deadline = time.monotonic() + START_S
        while any(map(_runs, children)):
            assert time.monotonic() < deadline, "its processes do not end"
            time.sleep(0.01)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def url(self, name: str) -> sa.URL:
        """Of one of its databases."""
        return sa.URL.create(
            "postgresql+psycopg",
            username="dolium",
            database=name,
            query={"host": str(self.folder)},
        )


class Node(MariaDb):
    """One server of a Galera cluster. Each has a loopback address of its own.

    Debian's galera-4 comes without the scripts that copy one node's data to another. None is
    needed: all begin as copies, and what was written since comes from a node's memory.
    """

    PORT = 23306
    LIBRARY = Path("/usr/lib/galera/libgalera_smm.so")
    SCRIPT = """#!/bin/sh
while [ $# -gt 1 ]; do
    case $1 in
    --role) role=$2 ;; --address) file=$2 ;; --datadir) data=$2 ;; --gtid) state=$2 ;;
    esac
    shift
done
if [ "$role" = donor ]; then
    echo "$state" >"$file.new" && mv "$file.new" "$file" && echo "done $state"
    exit
fi
rm -f "$data/state" && echo "ready $data/state"
until [ -s "$data/state" ]; do sleep 0.05; done
cat "$data/state"
"""

    def __init__(self, number: int, of: int) -> None:
        super().__init__()
        self.address = f"127.0.0.{number + 1}"
        self._others = "" if number == 0 else ",".join(f"127.0.0.{n + 1}" for n in range(of))
        script = self.folder / "wsrep_sst_copy"
        script.write_text(self.SCRIPT)
        script.chmod(0o755)

    def command(self) -> list[str]:
        """That serves."""
        quiet = [part for part in super().command() if part != "--skip-networking"]
        options = f"gmcast.listen_addr=tcp://{self.address}:24567;pc.recovery=no;gcache.size=32M"
        return [
            *("env", f"PATH={self.folder}:{os.environ['PATH']}"),
            *quiet,
            f"--bind-address={self.address}",
            f"--port={self.PORT}",
            "--wsrep-on=ON",
            f"--wsrep-provider={self.LIBRARY}",
            f"--wsrep-cluster-address=gcomm://{self._others}",
            f"--wsrep-node-address={self.address}:24567",
            f"--wsrep-provider-options={options};ist.recv_addr={self.address}:24568",
            "--wsrep-sst-method=copy",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
        ]


class Galera:
    """A cluster of some nodes, as MariaDB's manual has it."""

    def __init__(self, size: int = 3) -> None:
        self.nodes = [Node(number, size) for number in range(size)]

    @classmethod
    def missing(cls) -> str:
        """What is not installed; empty when all is."""
        return Node.missing() or ("" if Node.LIBRARY.exists() else "galera-4")

    def start(self) -> Galera:
        """Returns when each node answers."""
        first = self.nodes[0]
        first.start()
        first.execute("CREATE USER dolium@'127.0.0.%' IDENTIFIED BY 'test'")
        first.execute("GRANT ALL ON *.* TO dolium@'127.0.0.%'")
        assert first.process is not None
        first.process.terminate()
        first.process.wait()
        for node in self.nodes[1:]:
            shutil.copytree(first.folder / "data", node.folder / "data")
        first.start()
        for node in self.nodes[1:]:
            node.begin()
        for node in self.nodes:
            node.ready()
        return self

    def url(self, name: str, first: int = 0) -> sa.URL:
        """Of one of its databases; the node to be tried first."""
        addresses = [node.address for node in self.nodes]
        return sa.URL.create(
            "mariadb+pymysql",
            username="dolium",
            password="test",
            host=",".join(addresses[first:] + addresses[:first]),
            port=Node.PORT,
            database=name,
        )

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.close()


SERVERS: tuple[type[Database], ...] = (MariaDb, PostgreSql)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    return str(next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), ""))


def empty(store: Server) -> Server:
    """Delete every row, and count from one again."""

    def work(tx: Tx) -> None:
        again = " RESTART IDENTITY" if tx.connection.dialect.name == "postgresql" else ""
        for table in metadata.sorted_tables:
            if tx.run(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                tx.run(sa.text(f"TRUNCATE TABLE {table.name}{again}"))

    store.write(work)
    return store


def store(database: Database, name: str, connections: int = 32) -> Server:
    """A database with this Dolium's schema and nothing in it."""
    url = database.make(name)
    upgrade.upgrade(url)
    return Server(url, connections=connections)
