"""Databases with hosts and containers in them, made by the control side itself."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Container
from pathlib import Path
from random import Random

import sqlalchemy as sa

from dolium import conf
from dolium.control.containers import Containers
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.drivers.network.base import Driver
from dolium.model.clock import SystemClock
from dolium.model.container import Look, Seen, Spec, State, Wanted
from dolium.model.context import Context
from dolium.model.host import Hello, Inventory
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.wish import Fact, Facts, Result, Wish
from dolium.store import upgrade
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store, Tx

BOOT = "boot"
STARTED = 1_790_000_000.0
"""When every container began to run: told again it is no news."""
UNLIMITED = conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1)
SPEC = Spec(
    image="registry.example.org/shop/frontend:2026.11",
    cpu=0.5,
    memory="256",
    command=["serve", "--listen", "0.0.0.0:8080", "--workers", "4"],
    environment={"DB_HOST": "10.224.0.17", "DB_USER": "shop", "CACHE": "redis:6379", "TZ": "UTC"},
    workdir="/srv/shop",
    labels={"app": "shop", "tier": "frontend", "release": "2026.11.3"},
    security_groups=["5d2d2a56-6a39-43c5-a2c5-d1ae4ea5f3ba"],
)


class Counted(Driver):
    """Addresses from a counter: the database is measured, not a network."""

    name = "counted"
    instant = True

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()

    def network(self, project_id: str, taken: Collection[str]) -> Network:
        cidr = f"10.{len(taken)}.0.0/16"
        subnet = Subnet(uuid=f"s-{project_id}", version=4, cidr=cidr, gateway=cidr)
        return Network(
            uuid=f"n-{project_id}",
            project_id=project_id,
            name="default",
            driver=self.name,
            subnets=(subnet,),
        )

    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        subnet = network.subnets[0]
        self._given[network.uuid] += 1
        number = self._given[network.uuid] + 1
        stem = subnet.cidr.removesuffix("0.0/16")
        ip = FixedIp(
            subnet_id=subnet.uuid,
            version=4,
            address=f"{stem}{number // 256}.{number % 256}",
            prefix=16,
        )
        return Port(
            uuid=container_uuid,
            network_uuid=network.uuid,
            container_uuid=container_uuid,
            mac="02:00:00:00:00:01",
            fixed_ips=(ip,),
        )

    def drop_port(self, port: Port) -> None:
        pass

    def drop_network(self, network: Network) -> None:
        pass


def waiting(path: Path, *, hosts: int, projects: int, each: int) -> None:
    """A database with enrolled hosts, and containers that wait for one."""
    # Where nothing is ever synced, making it costs little.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        file, clock = Path(folder, "db"), SystemClock()
        upgrade.upgrade(file)
        store = Sqlite(file, threaded=False)
        for at in range(hosts):
            inventory = Inventory(hostname=f"h{at}", cpus=64, memory_mib=262_144, disk_gib=1000)
            enrolled = Hosts(store, clock, conf.Placing(), "deployment")
            enrolled.hello(Hello(host=f"h{at}", boot=BOOT, inventory=inventory))
        containers = Containers(store, clock, UNLIMITED)
        for at in range(projects * each):
            context = Context(
                user_id="user", project_id=f"project{at % projects}", request_id=f"req-{at}"
            )
            containers.create(context, f"shop-{at}", SPEC, run=True)
        store.close()
        shutil.copy(file, path)


def place(store: Store, driver: Driver | None = None) -> None:
    """Give all that waits a host."""
    placer = Placer(store, SystemClock(), Networks(store, driver or Counted()), Random(1))
    while placer.turn():
        pass


def running(
    path: Path, *, hosts: int, each: int, projects: int = 1, driver: Driver | None = None
) -> None:
    """A database of projects whose containers all run, as their hosts have reported."""
    waiting(path, hosts=hosts, projects=projects, each=each)
    clock, store = SystemClock(), Sqlite(path, threaded=False)
    place(store, driver)
    enrolled = Hosts(store, clock, conf.Placing(), "deployment")
    for at in range(hosts):
        name = f"h{at}"
        wishes = enrolled.wishes(name, BOOT, 0, 0).wishes
        facts = [fact(wish, number, clock.now()) for number, wish in enumerate(wishes, 1)]
        enrolled.post(Facts(host=name, boot=BOOT, facts=tuple(facts)))
    store.close()


def fact(wish: Wish, sequence: int, now: float) -> Fact:
    """What a host tells that has done as it was told, at once."""
    gone = wish.wanted is Wanted.DELETED
    return Fact(
        uuid=wish.uuid,
        sequence=sequence,
        generation=wish.generation,
        seen=None if gone else _seen(wish.uuid),
        gone=gone,
        results=tuple(
            Result(id=command.id, ok=True, started_at=now, finished_at=now)
            for command in wish.commands
        ),
    )


def _seen(uuid: str) -> Seen:
    look = Look(
        command=SPEC.command,
        environment={**(SPEC.environment or {}), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        workdir=SPEC.workdir,
        ports=[8080],
        hostname=uuid[:12],
        entrypoint=["/usr/bin/tini", "--"],
    )
    return Seen(
        uuid=uuid, generation=1, handle=uuid, state=State.RUNNING, started_at=STARTED, look=look
    )


BATCH = 2000


def pour(path: Path, store: Store) -> None:
    """Copy every row of a file into the tables of a server, which are empty."""
    source = sa.create_engine(f"sqlite:///{path}")
    with source.connect() as file:
        for table in metadata.sorted_tables:
            if table.name == "compatibility":  # whoever made the schema there wrote it
                continue
            for rows in file.execute(sa.select(table)).mappings().partitions(BATCH):
                taken = [dict(row) for row in rows]
                store.write(lambda tx: tx.run(table.insert(), taken))  # noqa: B023
    source.dispose()
    store.write(_count_on)


def _count_on(tx: Tx) -> None:
    """PostgreSQL's counters know nothing of numbers that were given."""
    if tx.connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        key = table.autoincrement_column
        if key is not None:
            last = sa.select(sa.func.max(key)).scalar_subquery()
            counter = sa.func.pg_get_serial_sequence(table.name, key.name)
            tx.run(sa.select(sa.func.setval(counter, last)).where(last.is_not(None)))
