"""A control side in memory with one enrolled host, whose agent is the test itself."""

from __future__ import annotations

import itertools
import random
import uuid as uuids
from collections.abc import Collection, Container

from dolium import conf, errors
from dolium.clients.glance import Glance as Client
from dolium.control.capsules import Capsules
from dolium.control.cipher import Cipher, new_key
from dolium.control.containers import Containers
from dolium.control.glance import Glance
from dolium.control.hosts import Hosts
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.drivers.network.base import Driver
from dolium.model.container import Seen, Spec, State, Verb
from dolium.model.context import Context
from dolium.model.host import Hello, Inventory
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.wish import Fact, Facts, Page, Result, Wish
from dolium.store.schema import metadata
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store

HOST = "host1"


class TickingClock:
    """Time that moves only when told; one microsecond with each look."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        self.time += 1e-6
        return self.time

    def monotonic(self) -> float:
        return self.time


class FlatNetwork(Driver):
    """Networks of a few addresses, so that running out of them is easy to see."""

    name = "flat"
    instant = True

    def __init__(self, addresses: int = 250, networks: int = 250) -> None:
        self.addresses = addresses
        self.networks = networks

    def network(self, project_id: str, taken: Collection[str]) -> Network:
        for number in range(self.networks):
            cidr = f"10.0.{number}.0/24"
            if cidr not in taken:
                subnet = Subnet(
                    uuid=f"sub-{project_id}", version=4, cidr=cidr, gateway=f"10.0.{number}.1"
                )
                return Network(
                    uuid=f"net-{project_id}",
                    project_id=project_id,
                    name="default",
                    driver="flat",
                    subnets=(subnet,),
                )
        raise errors.Full(what="The pool of networks", why="all are taken")

    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        prefix = network.subnets[0].gateway.rpartition(".")[0]
        for number in range(2, 2 + self.addresses):
            address = f"{prefix}.{number}"
            if address not in taken:
                ip = FixedIp(
                    subnet_id=network.subnets[0].uuid, version=4, address=address, prefix=24
                )
                return Port(
                    uuid=str(uuids.uuid5(uuids.UUID(container_uuid), "port")),
                    network_uuid=network.uuid,
                    container_uuid=container_uuid,
                    mac="02:00:00:00:00:01",
                    fixed_ips=(ip,),
                )
        raise errors.Full(what="The network", why="it has no address left")

    def drop_port(self, port: Port) -> None:
        pass

    def drop_network(self, network: Network) -> None:
        pass


def make_store() -> Store:
    """With the schema and nothing in it."""
    store = Sqlite(None, threaded=False)
    store.write(lambda tx: metadata.create_all(tx.connection))
    return store


class World:
    """Everything of the control side, single-threaded."""

    def __init__(
        self,
        quota: conf.Quota | None = None,
        driver: Driver | None = None,
        inventory: Inventory | None = None,
        glance: Client | None = None,
    ) -> None:
        self.glance = Glance(glance)
        self.clock = TickingClock()
        self.store = make_store()
        rng = random.Random(1)
        quota = quota or conf.Quota()
        self.containers = Containers(self.store, self.clock, quota, rng)
        self.capsules = Capsules(self.store, self.clock, quota, rng)
        self.registries = Registries(self.store, self.clock, Cipher([new_key()]))
        self.hosts = Hosts(
            self.store,
            self.clock,
            conf.Placing(),
            "deployment",
            registries=self.registries,
            glance=self.glance,
        )
        self.networks = Networks(self.store, driver or FlatNetwork())
        self.services = Services(self.store, self.clock)
        self.quotas = Quotas(self.store, quota)
        self.placer = Placer(self.store, self.clock, self.networks, rng, meter=self.store.meter)
        self.inventory = inventory or Inventory(
            hostname=HOST,
            cpus=8,
            memory_mib=16384,
            disk_gib=100,
            runtimes=("runc",),
            verbs=tuple(Verb),
            capsules=True,
        )
        self.sequence = itertools.count(1)
        self.requests = itertools.count(1)
        self.revision = 0
        self.hello("boot-1")

    def hello(self, boot: str) -> None:
        self.boot = boot
        self.revision = 0
        self.hosts.hello(Hello(host=HOST, boot=boot, inventory=self.inventory))

    def who(self, project: str = "p1", *, admin: bool = False) -> Context:
        return Context(
            user_id="u1",
            project_id=project,
            request_id=f"req-{next(self.requests)}",
            roles=("admin",) if admin else ("member",),
            is_admin=admin,
        )

    def create(self, name: str = "c1", **spec: object) -> str:
        wished = Spec(image="cirros", **spec)  # type: ignore[arg-type]
        return self.containers.create(self.who(), name, wished, run=True).uuid

    def pull(self) -> Page:
        page = self.hosts.wishes(HOST, self.boot, self.revision, 0)
        self.revision = page.revision
        return page

    def wish(self, uuid: str) -> Wish:
        page = self.hosts.wishes(HOST, self.boot, 0, 0)
        return next(wish for wish in page.wishes if wish.uuid == uuid)

    def fact(self, uuid: str, **values: object) -> Fact:
        known = {"uuid": uuid, "sequence": next(self.sequence), "generation": 1}
        return Fact(**(known | values))  # type: ignore[arg-type]

    def post(self, *facts: Fact) -> None:
        self.hosts.post(Facts(host=HOST, boot=self.boot, facts=facts))

    def done(self, uuid: str, *, ok: bool = True, message: str | None = None) -> Result:
        command = self.wish(uuid).commands[0]
        now = self.clock.now()
        return Result(id=command.id, ok=ok, message=message, started_at=now, finished_at=now)

    def seen(self, uuid: str, state: State, **values: object) -> Seen:
        known = {"uuid": uuid, "generation": 1, "handle": "h", "state": state}
        if state is not State.CREATED:
            known["started_at"] = self.clock.now()
        return Seen(**(known | values))  # type: ignore[arg-type]

    def running(self, name: str = "c1", **spec: object) -> str:
        uuid = self.create(name, **spec)
        self.placer.turn()
        seen = self.seen(uuid, State.RUNNING)
        self.post(self.fact(uuid, seen=seen, results=(self.done(uuid),)))
        return uuid

    def status(self, uuid: str) -> str:
        return self.containers.find(self.who(), uuid).status
