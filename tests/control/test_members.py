"""Processes of the control side find each other, without comparing their clocks."""

from __future__ import annotations

from dolium.control.lookout import Lookout
from dolium.control.members import GONE_S, QUIET_S, Members
from dolium.store import hosts, members
from dolium.store.members import Member
from tests.control.world import TickingClock, World, make_store


def member(name: str, address: str = "") -> Member:
    return Member(
        id=name, role="api", host="node", address=address, version="1", started_at=float(len(name))
    )


def test_each_finds_the_others_and_forgets_who_went() -> None:
    store, clock, later = make_store(), TickingClock(), TickingClock()
    later.time += 1e9  # the clocks of two machines have nothing in common
    one = Members(store, clock, member("one", "10.0.0.1:9518"))
    two = Members(store, later, member("two", "10.0.0.2:9518"))
    for each in (one, two, one, two):
        each.turn()
    assert (one.peers(), two.peers()) == ([("10.0.0.2", 9518)], [("10.0.0.1", 9518)])
    clock.time += QUIET_S + 1
    assert one.peers() == []
    two.turn()
    one.turn()
    assert one.peers() == [("10.0.0.2", 9518)]
    clock.time += GONE_S + 1
    one.turn()
    with store.glance() as connection:
        assert [each.id for each in members.all_of_them(connection)] == ["one"]
    two.turn()  # it had only been halted
    one.turn()
    assert one.peers() == [("10.0.0.2", 9518)]
    two.leave()
    one.turn()
    assert one.peers() == []


def test_a_sign_of_life_that_comes_just_in_time_counts() -> None:
    store, clock = make_store(), TickingClock()
    one = Members(store, clock, member("one"))
    two = Members(store, clock, member("two"))
    two.turn()
    one.turn()
    with store.glance() as connection:
        stale = members.all_of_them(connection)[-1]
    two.turn()
    store.write(lambda tx: members.drop(tx, "two", stale.beat))
    with store.glance() as connection:
        assert {each.id for each in members.all_of_them(connection)} == {"one", "two"}


def test_a_lost_hint_is_made_up_for() -> None:
    world = World()
    waiting: list[tuple[str, int]] = []
    lookout = Lookout(world.store, lambda: waiting)
    uuid = world.create()
    world.placer.turn()
    with world.store.glance() as connection:
        now = hosts.every_revision(connection)["host1"]
    before = world.store.hints.count("host:host1")
    lookout.turn()
    waiting.append(("host1", now))
    lookout.turn()
    assert world.store.hints.count("host:host1") == before  # it waits for what is yet to come
    waiting.append(("host1", now - 1))
    lookout.turn()
    assert world.store.hints.count("host:host1") == before + 1
    assert world.wish(uuid).uuid == uuid
