"""Hosts that are servers: on which physical machines Nova says they are, and what follows."""

from __future__ import annotations

import logging
import random

import pytest

from dolium import errors
from dolium.clients.nova import Server
from dolium.control import domains
from dolium.control.hypervisors import LOOK_S, PAUSE_S, TOGETHER, Hypervisors, forget
from dolium.control.placer import FRESH_S
from dolium.model.host import Hello, Inventory
from dolium.model.placing import Level
from dolium.store import hosts, services
from tests.control.world import World

NAMES = ("host1", "host2", "host3")


class Cloud(World):
    """Three hosts, and a Nova that has servers of their names."""

    def __init__(self) -> None:
        super().__init__()
        for name in NAMES[1:]:
            self.enrol(name)
        self.on: dict[str, list[str]] = {}
        """Name -> the hypervisors of the servers of this name."""
        self.asked: list[str] = []
        self.down: errors.Error | None = None
        self.finder = self.another()

    def another(self) -> Hypervisors:
        return Hypervisors(self.store, self.clock, random.Random(1), self)

    def named(self, name: str) -> list[Server]:
        self.asked.append(name)
        if self.down:
            raise self.down
        found = self.on.get(name, [])
        return [Server(id=f"{name}-id", name=name, status="ACTIVE", hypervisor=h) for h in found]

    def enrol(self, name: str, boot: str = "b", **more: object) -> None:
        inventory = Inventory(hostname=name, cpus=8, memory_mib=16384, disk_gib=100, **more)  # type: ignore[arg-type]
        self.hosts.hello(Hello(host=name, boot=boot, inventory=inventory))

    def turn(self) -> list[str]:
        self.asked = []
        self.finder.turn()
        return sorted(self.asked)

    def reason(self, uuid: str) -> str:
        return self.containers.find(self.who(), uuid).status_reason or ""

    def later(self, seconds: float) -> None:
        self.clock.time += seconds

    def found(self) -> dict[str, str | None]:
        with self.store.read() as connection:
            return {host.name: host.hypervisor for host in hosts.all_of_them(connection)}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_hosts_are_where_nova_says() -> None:
    cloud = Cloud()
    cloud.on = {"host1": ["big1"], "host2": ["big1"], "host3": ["big2"]}
    assert cloud.turn() == [*NAMES]
    assert cloud.found() == {"host1": "big1", "host2": "big1", "host3": "big2"}
    assert cloud.services.host("host2").inventory.hypervisor == "big1"
    with cloud.store.read() as connection:
        lost = domains.blast_radius(connection, "host", "big1")
    assert lost.hosts == ["host1", "host2"]
    assert cloud.turn() == []


def test_running_placers_learn_of_it() -> None:
    cloud = Cloud()
    rule = {"group": "db", "anti_affinity": "host"}
    first = cloud.create("a", hints=rule)
    cloud.placer.turn()  # which knows three machines now
    cloud.on = {name: ["big1"] for name in NAMES}
    cloud.turn()
    cloud.later(FRESH_S)
    second = cloud.create("b", hints=rule)
    cloud.placer.turn()
    assert cloud.status(second) == "Error"
    assert "3 are on a host with one of group db" in cloud.reason(second)
    with cloud.store.read() as connection:
        (why,) = domains.why(connection, first)
    assert why.domains[str(Level.HOST)] == "/nova//big1"


def test_what_an_agent_says_goes_first() -> None:
    cloud = Cloud()
    cloud.on = {name: ["big1"] for name in NAMES}
    cloud.enrol("host3", "another", hypervisor="mine")
    assert cloud.turn() == ["host1", "host2"]
    cloud.enrol("host2", "another", hypervisor="mine")
    assert cloud.turn() == []
    shown = {host.service.name: host.inventory.hypervisor for host in cloud.services.hosts()}
    assert shown == {"host1": "big1", "host2": "mine", "host3": "mine"}


def test_who_starts_anew_is_asked_for_at_once_and_all_once_in_a_while() -> None:
    cloud = Cloud()
    cloud.on = {name: ["big1"] for name in NAMES}
    cloud.turn()
    cloud.on = {name: ["big2"] for name in NAMES}
    cloud.enrol("host2", "another")
    assert cloud.turn() == ["host2"]
    cloud.store.write(lambda tx: services.delete(tx, "host1"))
    cloud.hello("boot-1")
    assert cloud.turn() == ["host1"]
    cloud.later(LOOK_S * 2)
    assert cloud.turn() == [*NAMES]
    assert set(cloud.found().values()) == {"big2"}


def test_without_one_server_of_the_name_nothing_is_known(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    cloud.on = {"host1": ["big1"]}
    cloud.turn()
    caplog.clear()
    cloud.on = {"host1": ["big1", "big2"], "host2": [""]}
    for _ in range(3):
        cloud.later(LOOK_S * 2)
        assert cloud.turn() == [*NAMES]
    assert cloud.found() == dict.fromkeys(NAMES)
    said = "host host1: 2 servers of Nova have its name; it counts as a physical machine"
    assert [record.message for record in caplog.records if "host1" in record.message] == [said]
    assert not [record for record in caplog.records if "host3" in record.message]  # said before
    assert len([record for record in caplog.records if "host2" in record.message]) == 1


@pytest.mark.parametrize(
    "down", [errors.Unanswered(what="Nova", why="no"), errors.Refused(why="Nova: 401")]
)
def test_a_nova_that_is_down_harms_nothing(
    cloud: Cloud, down: errors.Error, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cloud.on = {name: ["big1"] for name in NAMES}
    cloud.turn()
    caplog.clear()
    cloud.later(LOOK_S * 2)
    cloud.down = down
    asked = 0
    for _ in range(1000):
        asked += len(cloud.turn())
        cloud.later(1)
    assert 5 <= asked <= 10, "each pause is twice as long, up to one look"
    assert set(cloud.found().values()) == {"big1"}
    cloud.down = None
    cloud.later(LOOK_S * 2)
    assert cloud.turn() == [*NAMES]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        str(down),
        "Nova answers again",
    ]
    cloud.down = down
    cloud.later(LOOK_S * 2)
    cloud.turn()
    cloud.later(PAUSE_S * 2)
    assert cloud.turn(), "the pause is short again"


def test_several_conductors_write_once() -> None:
    cloud = Cloud()
    cloud.on = {name: ["big1"] for name in NAMES}
    other = cloud.another()
    cloud.turn()
    with cloud.store.read() as connection:
        before = hosts.loads(connection)
    assert other.turn() == len(NAMES)
    with cloud.store.read() as connection:
        assert hosts.loads(connection) == before
    late = cloud.store.write(lambda tx: hosts.stands(tx, "host1", "big1", 1.0))
    assert not late


def test_many_hosts_take_several_turns() -> None:
    cloud = Cloud()
    for number in range(4, TOGETHER + 10):
        cloud.enrol(f"host{number}")
    assert len(cloud.turn()) == TOGETHER
    assert len(cloud.turn()) == 9
    assert cloud.turn() == []


def test_what_was_found_counts_no_longer_when_nobody_is_asked() -> None:
    cloud = Cloud()
    cloud.on = {"host1": ["big1"], "host2": ["big1"]}
    cloud.turn()
    assert forget(cloud.store, cloud.clock) == 2
    assert cloud.found() == dict.fromkeys(NAMES)
    assert forget(cloud.store, cloud.clock) == 0
