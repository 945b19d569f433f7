"""Groups in the database: members are rows, and two placers do not break a rule together."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from dolium import conf, errors
from dolium.control import domains
from dolium.control.conductor import Conductor
from dolium.control.containers import Containers
from dolium.control.hosts import Hosts
from dolium.control.lost import Lost
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.model.container import Spec
from dolium.model.context import Context
from dolium.model.host import Hello, Inventory
from dolium.store import containers, groups, hosts, schema, upgrade
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store, Tx
from tests.control.world import FlatNetwork, TickingClock, World


def enrol(link: Hosts, name: str, **more: object) -> None:
    inventory = Inventory(hostname=name, cpus=8, memory_mib=16384, disk_gib=100, **more)  # type: ignore[arg-type]
    link.hello(Hello(host=name, boot="b", inventory=inventory))


@pytest.fixture
def world() -> World:
    """host1 in rack r1, and two more in r2."""
    made = World(
        inventory=Inventory(hostname="host1", cpus=8, memory_mib=16384, disk_gib=100, rack="r1")
    )
    enrol(made.hosts, "host2", rack="r2")
    enrol(made.hosts, "host3", rack="r2")
    return made


def place(world: World, name: str, **hints: object) -> str:
    uuid = world.create(name, hints=hints)
    world.placer.turn()
    return uuid


def host(world: World, uuid: str) -> str | None:
    return world.containers.find(world.who(admin=True), uuid).host


def reason(world: World, uuid: str) -> str | None:
    with world.store.read() as connection:
        (found,) = domains.why(connection, uuid)
    return found.reason


def test_a_rule_holds_over_batches_and_ends_with_a_member(world: World) -> None:
    rule = {"group": "web", "anti_affinity": "rack"}
    first, second = place(world, "a", **rule), place(world, "b", **rule)
    racks = {name: "r1" if name == "host1" else "r2" for name in ("host1", "host2", "host3")}
    assert racks[str(host(world, first))] != racks[str(host(world, second))]
    third = place(world, "c", **rule)
    assert world.status(third) == "Error"
    assert "are in a rack with one of group web" in str(reason(world, third))
    world.containers.delete(world.who(), world.containers.find(world.who(), third), force=True)
    world.store.write(
        lambda tx: tx.run(schema.containers.delete().where(schema.containers.c.uuid == first))
    )
    assert host(world, place(world, "d", **rule)) is not None


def test_all_of_one_batch_count_for_each_other(world: World) -> None:
    made = [world.create(f"c{n}", hints={"group": "web"}) for n in range(2)]
    assert world.placer.turn() == 2
    assert "host1" in {host(world, uuid) for uuid in made}
    near = [world.create(f"n{n}", hints={"group": "x", "affinity": "node"}) for n in range(4)]
    world.placer.turn()
    assert len({host(world, uuid) for uuid in near}) == 1


def test_a_group_is_of_one_project(world: World) -> None:
    rule = {"group": "web", "anti_affinity": "region"}
    place(world, "a", **rule)
    spec = Spec(image="cirros", hints=rule)
    other = world.containers.create(world.who("p2"), "b", spec, run=True).uuid
    world.placer.turn()
    assert host(world, other) is not None


def test_same_and_different_host(world: World) -> None:
    one = place(world, "a")
    assert host(world, place(world, "b", same_host=one)) == host(world, one)
    assert host(world, place(world, "c", different_host=[one])) != host(world, one)
    both = [world.create("d"), ""]
    both[1] = world.create("e", hints={"different_host": both[0]})
    world.placer.turn()
    assert host(world, both[0]) != host(world, both[1])
    stranger = "00000000-0000-4000-8000-000000000000"
    lost = place(world, "f", same_host=stranger)
    assert reason(world, lost) == (
        "There are not enough hosts available: 3 hosts: 3 have none of the containers of same_host"
    )
    assert host(world, place(world, "g", different_host=stranger)) is not None


def test_dedicated_cpus_are_claimed_whole_and_given_back(world: World) -> None:
    def used() -> tuple[int, ...]:
        with world.store.read() as connection:
            row = connection.execute(
                sa.select(
                    schema.hosts.c.total_dedicated,
                    schema.hosts.c.used_dedicated,
                    schema.hosts.c.used_cpu_m,
                ).where(schema.hosts.c.name == "host4")
            ).one()
        return tuple(row)

    nowhere = world.create("a", cpu=2.0, cpu_policy="dedicated")
    world.placer.turn()
    assert "3 do not give CPUs to one container alone" in str(reason(world, nowhere))
    enrol(world.hosts, "host4", enable_cpu_pinning=True)
    uuid = world.create("b", cpu=6.0, cpu_policy="dedicated")
    world.placer.turn()
    assert host(world, uuid) == "host4"
    assert used() == (8, 6, 6 * 16_000)
    more = world.create("c", cpu=3.0, cpu_policy="dedicated")
    world.placer.turn()
    assert "1 lacks dedicated CPUs (3 asked, at most 2 free)" in str(reason(world, more))
    row = world.containers.find(world.who(), uuid)
    world.store.write(lambda tx: running(tx, uuid))
    with pytest.raises(errors.Invalid, match="cpu"):
        world.containers.patch(world.who(), row, cpu=2.0)
    world.containers.patch(world.who(), row, memory="1024")
    assert used() == (8, 6, 6 * 16_000)
    world.store.write(lambda tx: hosts.release(tx, uuid))
    assert used() == (8, 0, 0)


def running(tx: Tx, uuid: str) -> None:
    tx.run(
        schema.containers.update().where(schema.containers.c.uuid == uuid).values(status="Running")
    )


def test_why_there_is_kept_and_counts_the_others(world: World) -> None:
    first, second = (place(world, name, group="web") for name in "ab")
    assert str(reason(world, first)).startswith("the first of group web; the emptiest of a few")
    assert "of group web: 1 in its region, 1 in its zone, 0 in its rack" in str(
        reason(world, second)
    )
    with world.store.read() as connection:
        (found,) = domains.why(connection, "b")
        assert (found.group, found.others["zone"], found.others["rack"]) == ("web", 1, 0)
        assert found.domains["rack"] in ("/nova/r1", "/nova/r2")
        with pytest.raises(errors.NotFound):
            domains.why(connection, "nobody")


def test_what_a_rack_takes_down(world: World) -> None:
    rule = {"group": "pair", "affinity": "rack"}
    pair = [place(world, f"p{n}", **rule) for n in range(2)]
    for n in range(4):
        place(world, f"s{n}", group="even")
    rack = "r1" if host(world, pair[0]) == "host1" else "r2"
    with world.store.read() as connection:
        found = domains.blast_radius(connection, "rack", rack)
        assert found.domains == [f"/nova/{rack}"]
        assert found.hosts == (["host1"] if rack == "r1" else ["host2", "host3"])
        assert {one.uuid for one in found.containers["p1"]} >= set(pair)
        losses = [(loss.name, loss.lost, loss.members) for loss in found.groups]
        assert losses == [("pair", 2, 2), ("even", 2, 4)]
        assert len(domains.blast_radius(connection, "zone", "nova").hosts) == 3
        for level, name in (("rack", "r9"), ("zone", "r1")):
            with pytest.raises(errors.NotFound):
                domains.blast_radius(connection, level, name)


def test_empty_groups_are_forgotten_and_others_kept(world: World) -> None:
    uuid = place(world, "a", group="web")
    conductor = Conductor(
        world.store,
        world.clock,
        world.placer,
        Lost(world.store, world.clock, conf.Hosts()),
    )
    conductor.sweep()
    assert world.store.write(groups.trim) == 0
    row = world.containers.find(world.who(), uuid)
    world.store.write(
        lambda tx: tx.run(schema.containers.delete().where(schema.containers.c.uuid == row.uuid))
    )
    assert world.store.write(groups.trim) == 1
    assert host(world, place(world, "b", group="web")) is not None


def placed_by_somebody_else(tx: Tx, uuid: str) -> None:
    table = schema.containers
    tx.run(table.update().where(table.c.uuid == uuid).values(host="host1", stage="ready"))


def test_who_got_a_host_while_its_group_was_locked_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = world.create("a", hints={"group": "web", "anti_affinity": "region"})
    members = groups.members

    def late(tx: Tx, group: int) -> dict[str, int]:
        placed_by_somebody_else(tx, uuid)
        return members(tx, group)

    monkeypatch.setattr(groups, "members", late)
    assert world.placer.turn() == 0
    assert (world.status(uuid), host(world, uuid)) == ("Creating", "host1")


def test_nobody_is_given_up_who_has_got_a_host(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = world.create("a", hints={"label:disk": "ssd"})
    give_up = containers.give_up

    def late(tx: Tx, *values: Any) -> bool:
        placed_by_somebody_else(tx, uuid)
        return give_up(tx, *values)

    monkeypatch.setattr(containers, "give_up", late)
    world.placer.turn()
    assert (world.status(uuid), host(world, uuid)) == ("Creating", "host1")


def test_hints_that_were_ignored_once_stop_nobody(world: World) -> None:
    old = world.create("a")
    spec = msgspec.json.encode(Spec(image="cirros", hints={"affinity": "no level"}))
    table = schema.containers
    world.store.write(
        lambda tx: tx.run(table.update().where(table.c.uuid == old).values(spec=spec))
    )
    world.placer.turn()
    assert host(world, old) is not None


def test_two_placers_keep_a_rule_together(tmp_path: Path) -> None:
    """On one database, each with its own picture of the hosts; any number of times."""
    path = tmp_path / "db"
    upgrade.upgrade(path)
    keep_a_rule_together([Sqlite(path), Sqlite(path)])


def keep_a_rule_together(stores: Sequence[Store]) -> None:
    """A placer and a user with each store: there is one rack for each container, or none."""
    clock, quota = TickingClock(), conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1)
    link = Hosts(stores[0], clock, conf.Placing(), "deployment")
    for number in range(40):
        enrol(link, f"h{number}", rack=f"r{number // 2}")
    placers = [
        Placer(store, clock, Networks(store, FlatNetwork()), random.Random(seed))
        for seed, store in enumerate(stores)
    ]
    spec = Spec(image="cirros", hints={"group": "web", "anti_affinity": "rack"})

    def work(number: int) -> None:
        containers = Containers(stores[number], clock, quota)
        for n in range(15):
            context = Context(user_id="u", project_id="p", request_id=f"req-{number}-{n}")
            containers.create(context, f"c{number}-{n}", spec, run=True)
            placers[number].turn()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].read() as connection:
        rows = connection.execute(sa.select(schema.containers.c.host)).all()
        racks = [int(row[0][1:]) // 2 for row in rows if row[0]]
        assert sorted(racks) == list(range(20))
        assert sum(row[0] is None for row in rows) == 15 * len(stores) - 20
        (group,) = connection.execute(sa.select(schema.placement_groups.c.name)).all()
        assert group[0] == "web"
    for store in stores:
        store.close()
