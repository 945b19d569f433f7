"""From the wish to the closed action, with the test playing the host."""

from __future__ import annotations

import random

import pytest
from msgspec import structs
from sqlalchemy import select

from dolium import conf, errors
from dolium.control.containers import Containers
from dolium.control.placer import Placed, Placer
from dolium.model import record
from dolium.model.container import Health, Spec, State, Status, Task, Verb, Wanted
from dolium.model.host import Inventory
from dolium.model.image import Progress
from dolium.model.wish import Step
from dolium.store.schema import claims, containers, hosts, ports, projects
from dolium.store.store import Tx

from .world import HOST, FlatNetwork, World


def used(world: World) -> tuple[int, int, int, int]:
    with world.store.read() as db:
        host = db.execute(select(hosts.c.used_cpu_m, hosts.c.used_memory_mib)).one()
        project = db.execute(select(projects.c.used_containers, projects.c.used_memory_mib)).one()
    return (*host, *project)


def count(world: World) -> dict[str, int]:
    with world.store.read() as db:
        tables = (containers, claims, ports)
        return {table.name: len(db.execute(select(table)).all()) for table in tables}


def test_a_created_container_is_placed_gets_a_port_and_runs() -> None:
    world = World()
    uuid = world.create(memory="100", cpu=0.5)
    assert world.status(uuid) == "Creating"
    assert world.placer.turn() == 1
    (wish,) = world.pull().wishes
    assert (wish.wanted, wish.start_epoch) == (Wanted.RUNNING, 1)
    assert [c.verb for c in wish.commands] == [Verb.CREATE]
    assert wish.ports[0].fixed_ips[0].address == "10.0.0.2"
    assert used(world) == (500, 100, 1, 100)
    world.post(world.fact(uuid, seen=world.seen(uuid, State.RUNNING), results=(world.done(uuid),)))
    row = world.containers.find(world.who(), "c1")
    assert (row.status, row.task_state, row.host) == ("Running", None, HOST)
    (action,) = world.containers.actions(row)
    assert action.finish_time is not None
    assert action.message is None


def test_one_batch_tells_of_many_containers_in_different_ways() -> None:
    world = World()
    running, failing, going, exited = (world.create(name) for name in "abcd")
    world.placer.turn()
    for uuid in (going, exited):
        seen = world.seen(uuid, State.RUNNING)
        world.post(world.fact(uuid, seen=seen, results=(world.done(uuid),)))
    row = world.containers.find(world.who(), going)
    world.containers.delete(world.who(), row, stop=True)
    page = world.hosts.wishes(HOST, world.boot, 0, 0)
    assert {wish.uuid for wish in page.wishes} == {running, failing, going, exited}
    assert len({wish.ports[0].fixed_ips[0].address for wish in page.wishes}) == 4
    assert {wish.networks[0].name for wish in page.wishes} == {"default"}
    facts = (
        world.fact(
            running, seen=world.seen(running, State.RUNNING), results=(world.done(running),)
        ),
        world.fact(failing, results=(world.done(failing, ok=False, message="no such image"),)),
        world.fact(going, gone=True, results=(world.done(going),)),
        world.fact(exited, seen=world.seen(exited, State.EXITED, exit_code=3)),
    )
    world.post(*facts)
    world.post(*facts)  # its answer was lost
    assert [world.status(uuid) for uuid in (running, failing, exited)] == [
        "Running",
        "Error",
        "Stopped",
    ]
    shown = world.containers.find(world.who(), failing)
    assert shown.status_reason == "no such image"
    assert count(world) == {"containers": 3, "claims": 3, "ports": 3}
    world.post(*(world.fact(uuid, seen=world.seen(uuid, State.RUNNING)) for uuid in (running,)))
    with world.store.read() as db:
        sequences = dict(
            map(tuple, db.execute(select(containers.c.name, containers.c.fact_sequence)))
        )
    assert sequences["a"] > sequences["d"] > sequences["b"]


def test_how_far_a_pull_is_and_that_it_was() -> None:
    world = World()
    uuid = world.create()
    world.placer.turn()

    for progress, text in (
        (Progress(), "Pulling image"),
        (Progress(2**20, 2**21), "Pulling image: 1 of 2 MiB"),
    ):
        world.post(world.fact(uuid, task=Task.PULLING, progress=progress))
        row = world.containers.find(world.who(), uuid)
        assert (row.task_state, row.progress) == ("image_pulling", text)
    done = world.done(uuid)
    step = Step(event="compute__do_image_pull", ok=True, started_at=1.0, finished_at=2.0)
    done = structs.replace(done, steps=(step,))
    world.post(world.fact(uuid, seen=world.seen(uuid, State.RUNNING), results=(done,)))
    row = world.containers.find(world.who(), uuid)
    assert (row.task_state, row.progress) == (None, None)
    pull, create = world.containers.actions(row)[0].events
    assert (pull.event, pull.start_time, pull.finish_time) == (step.event, 1.0, 2.0)
    assert (pull.result, create.event) == ("Success", "compute__do_container_create")


def test_the_health_is_what_the_host_saw_last() -> None:
    world = World()
    uuid = world.running(healthcheck={"test": "true", "interval": 1, "retries": 0, "timeout": 0})
    found = []
    for health in (Health.STARTING, Health.HEALTHY, None, Health.UNHEALTHY):
        seen = world.seen(uuid, State.RUNNING, health=health)
        world.post(world.fact(uuid, seen=seen))
        found.append(world.containers.find(world.who(), uuid).health)
    assert found == ["starting", "healthy", None, "unhealthy"]


def test_a_deleted_container_gives_everything_back_only_when_the_host_says_gone() -> None:
    world = World()
    uuid = world.running()
    world.pull()
    row = world.containers.find(world.who(), uuid)
    world.containers.delete(world.who(), row, stop=True)
    assert world.status(uuid) == "Deleting"
    assert count(world) == {"containers": 1, "claims": 1, "ports": 1}
    (wish,) = world.pull().wishes
    assert wish.wanted is Wanted.DELETED
    world.post(world.fact(uuid, gone=True, results=(world.done(uuid),)))
    assert count(world) == {"containers": 0, "claims": 0, "ports": 0}
    assert used(world) == (0, 0, 0, 0)
    assert world.pull().gone == (uuid,)
    assert world.hosts.fate(HOST, [uuid, "stranger"]).gone == (uuid,)
    assert world.hosts.fate(HOST, [uuid, "stranger"]).unknown == ("stranger",)


def test_a_container_that_never_got_a_host_is_deleted_at_once() -> None:
    world = World()
    uuid = world.create()
    row = world.containers.find(world.who(), uuid)
    world.containers.delete(world.who(admin=True), row, force=True)
    with pytest.raises(errors.NotFound):
        world.containers.find(world.who(), uuid)
    assert count(world)["containers"] == 0
    assert used(world)[2:] == (0, 0)


def test_its_owner_may_give_up_what_hangs_while_being_made() -> None:
    world = World()
    uuid = world.create()
    world.placer.turn()
    reason = "Registry docker.io does not answer"
    world.post(world.fact(uuid, known=False, reason=reason))
    row = world.containers.find(world.who(), uuid)
    assert (row.status, row.status_reason) == ("Creating", reason)
    with pytest.raises(errors.WrongState):
        world.containers.delete(world.who(), row)
    world.containers.delete(world.who(), row, stop=True)
    assert world.wish(uuid).wanted is Wanted.DELETED


def test_no_host_is_an_error_that_says_why_and_start_tries_again() -> None:
    world = World(inventory=Inventory(hostname=HOST, cpus=1, memory_mib=600, disk_gib=10))
    uuid = world.create(memory="4096")
    world.placer.turn()
    row = world.containers.find(world.who(), uuid)
    assert row.status == "Error"
    assert row.status_reason is not None
    assert "memory" in row.status_reason
    assert world.containers.actions(row)[0].message == "Error"
    world.inventory = Inventory(hostname=HOST, cpus=4, memory_mib=16000, disk_gib=10)
    world.hello("boot-2")
    world.containers.ask(world.who(), row, Verb.START, {})
    assert world.placer.turn() == 1
    assert world.containers.find(world.who(), uuid).host == HOST


def test_where_the_placer_is_near_a_wish_is_placed_in_its_own_commit() -> None:
    world = World()
    near = Containers(
        world.store, world.clock, conf.Quota(), random.Random(1), place=world.placer.follow
    )
    uuid = near.create(world.who(), "c1", Spec(image="cirros"), run=True).uuid
    assert world.store.hints.count("placer") == 1  # the host's hello, nothing since
    assert [wish.uuid for wish in world.pull().wishes] == [uuid]
    assert world.placer.turn() == 0


def test_who_finds_no_host_leaves_alone_what_another_placer_placed() -> None:
    world = World()
    uuid = world.create()

    class Blind(Placer):
        def _refresh(self, tx: Tx) -> None:
            """It sees no host at all."""

        def _claim(self, tx: Tx, ready: list[Placed]) -> list[Placed]:
            world.placer.place(tx, 1)  # as it commits on a server between look and claim
            return super()._claim(tx, ready)

    blind = Blind(world.store, world.clock, world.networks, random.Random(1))
    blind.turn()
    row = world.containers.find(world.who(), uuid)
    assert (row.host, row.status) == (HOST, "Creating")
    assert world.containers.actions(row)[0].finish_time is None
    assert world.wish(uuid).uuid == uuid


def test_the_placer_sees_what_others_did_to_its_hosts() -> None:
    """It keeps its index between two turns: room that was given back, hosts that changed."""
    small = Inventory(hostname="host1", cpus=1, memory_mib=4096, disk_gib=9)
    world = World(conf.Quota(cpu=-1), inventory=small)
    first = world.running(cpu=16.0)
    again = world.create("c2", cpu=16.0)
    world.placer.turn()
    assert world.status(again) == Status.ERROR
    world.containers.delete(world.who(), world.containers.find(world.who(), first), stop=True)
    world.post(world.fact(first, generation=2, gone=True, known=True, results=(world.done(first),)))
    world.containers.ask(world.who(), world.containers.find(world.who(), again), Verb.START, {})
    world.placer.turn()
    assert world.containers.find(world.who(), again).host == "host1"

    world.inventory = Inventory(hostname="host1", cpus=2, memory_mib=4096, disk_gib=9)
    world.hello("boot-2")
    third = world.create("c3", cpu=16.0)
    world.placer.turn()
    assert world.containers.find(world.who(), third).host == "host1"


def test_quota_is_taken_with_the_wish_and_names_what_is_exceeded() -> None:
    world = World(quota=conf.Quota(containers=5, memory=1000))
    world.create("a", memory="600")
    with pytest.raises(errors.OverQuota, match=r"\['memory'\]"):
        world.create("b", memory="600")
    assert used(world)[2:] == (1, 600)


def test_what_the_host_remarks_is_an_event_of_the_action() -> None:
    world = World()
    uuid = world.create()
    world.placer.turn()
    remark = "Registry docker.io does not answer: the image cirros on the host is used"
    result = world.done(uuid, message=remark)
    world.post(world.fact(uuid, seen=world.seen(uuid, State.RUNNING), results=(result,)))
    row = world.containers.find(world.who(), uuid)
    (action,) = world.containers.actions(row)
    assert [e.event for e in action.events] == ["compute__do_container_create", remark]
    assert row.status_reason is None


def test_a_failed_create_is_an_error_with_its_reason() -> None:
    world = World()
    uuid = world.create()
    world.placer.turn()
    result = world.done(uuid, ok=False, message="Image nosuch could not be found")
    world.post(world.fact(uuid, results=(result,)))
    row = world.containers.find(world.who(), uuid)
    assert (row.status, row.status_reason) == ("Error", "Image nosuch could not be found")
    world.post(world.fact(uuid))
    assert world.containers.find(world.who(), uuid).status_reason == row.status_reason


def test_facts_out_of_order_or_of_an_old_boot_change_nothing() -> None:
    world = World()
    uuid = world.running()
    old = world.fact(uuid, seen=world.seen(uuid, State.EXITED, exit_code=1))
    new = world.fact(uuid, seen=world.seen(uuid, State.RUNNING))
    world.post(new)
    world.post(old)
    assert world.status(uuid) == "Running"
    boot = world.boot
    world.hello("boot-2")
    world.boot = boot
    world.post(world.fact(uuid, seen=world.seen(uuid, State.EXITED)))
    assert world.status(uuid) == "Running"
    with pytest.raises(errors.Changed):
        world.pull()


def test_stop_shows_its_task_until_it_is_done() -> None:
    world = World()
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    world.containers.ask(world.who(), row, Verb.STOP, {"timeout": 10})
    row = world.containers.find(world.who(), uuid)
    assert (row.status, row.task_state) == ("Running", Task.STOPPING)
    exited = world.seen(uuid, State.EXITED, exit_code=137, finished_at=world.clock.now())
    world.post(world.fact(uuid, seen=exited, results=(world.done(uuid),)))
    row = world.containers.find(world.who(), uuid)
    assert (row.status, row.task_state, row.exit_code) == ("Stopped", None, 137)
    with pytest.raises(errors.WrongState, match="in Stopped state"):
        world.containers.ask(world.who(), row, Verb.STOP, {})


def test_a_delete_closes_what_is_queued() -> None:
    world = World()
    uuid = world.running()
    row = world.containers.find(world.who(), uuid)
    world.containers.ask(world.who(), row, Verb.STOP, {"timeout": 10})
    who = world.who()
    world.containers.delete(who, row, stop=True)
    journal = world.containers.actions(row)
    assert [a.verb for a in journal] == ["delete", "stop", "create"]
    assert journal[1].message == f"superseded by {who.request_id}"
    assert [c.verb for c in world.wish(uuid).commands] == [Verb.DELETE]


def test_one_that_exits_and_was_to_remove_itself_is_deleted() -> None:
    world = World()
    uuid = world.running(auto_remove=True)
    world.post(world.fact(uuid, seen=world.seen(uuid, State.EXITED, exit_code=0)))
    assert world.wish(uuid).wanted is Wanted.DELETED


def test_a_full_network_is_an_error_that_says_so_and_takes_nothing() -> None:
    world = World(driver=FlatNetwork(addresses=1))
    world.create("a")
    uuid = world.create("b")
    assert world.placer.turn() == 2
    row = world.containers.find(world.who(), uuid)
    assert row.status == "Error"
    assert "no address left" in (row.status_reason or "")
    assert count(world)["claims"] == 1


def test_an_idle_network_gives_way_when_the_pool_is_used_up() -> None:
    world = World(driver=FlatNetwork(networks=1))
    uuid = world.running()
    world.containers.delete(world.who(), world.containers.find(world.who(), uuid), stop=True)
    world.post(world.fact(uuid, gone=True, results=(world.done(uuid),)))
    other = world.containers.create(world.who("p2"), "b", _spec(), run=True)
    world.placer.turn()
    assert b"10.0.0.2" in world.containers.find(world.who("p2"), other.uuid).addresses


def _spec() -> Spec:

    return Spec(image="cirros")


def test_update_changes_quota_claim_and_wish_together() -> None:
    world = World()
    uuid = world.running(memory="100", cpu=0.1)
    row = world.containers.find(world.who(), uuid)
    row = world.containers.patch(world.who(), row, memory="200", cpu=0.2, name="other")
    assert (row.name, b'"memory":"200"' in row.shown) == ("other", True)
    assert used(world) == (200, 200, 1, 200)
    wish = world.wish(uuid)
    assert (wish.spec.memory, wish.commands[0].verb) == ("200", Verb.UPDATE)
    with pytest.raises(errors.OverQuota):
        world.containers.patch(world.who(), row, memory="8000000")
    assert used(world) == (200, 200, 1, 200)


def test_names_may_repeat_and_are_ambiguous_then() -> None:
    world = World()
    world.create("twin")
    world.create("twin")
    with pytest.raises(errors.Ambiguous):
        world.containers.find(world.who(), "twin")
    with pytest.raises(errors.NotFound):
        world.containers.find(world.who("p2"), "twin")


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["id", "name", "status_reason", "task_state", "updated_at"])
def test_pages_join_to_the_whole_list(key: str, direction: str) -> None:
    world = World()
    for name in ("b", "a", "c", "a", "e"):
        world.create(name)
    if key == "status_reason":
        with pytest.raises(errors.InvalidValue):
            world.containers.list(world.who(), record.Query(sort_key=key))
        return
    whole = world.containers.list(world.who(), record.Query(sort_key=key, sort_dir=direction))
    pages: list[record.Container] = []
    marker = None
    while page := world.containers.list(
        world.who(), record.Query(limit=2, marker=marker, sort_key=key, sort_dir=direction)
    ):
        pages += page
        marker = page[-1].uuid
    assert [row.uuid for row in pages] == [row.uuid for row in whole]
    assert len(whole) == 5


def test_twenty_at_once_with_one_name_are_twenty() -> None:
    world = World()
    for _ in range(20):
        world.create("same")
    world.placer.turn()
    page = world.pull()
    assert len({w.ports[0].fixed_ips[0].address for w in page.wishes}) == 20
