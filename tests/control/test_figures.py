"""What the database says about the cloud, and what the placer counts."""

from __future__ import annotations

from dolium.control.figures import Figures
from dolium.model.host import Standing, standing
from dolium.model.metric import (
    HOSTS,
    OLDEST_ACTION,
    OLDEST_WAITING,
    OPEN_ACTIONS,
    PLACED,
    PLACING,
    UNPLACED,
    WAITING,
    Metric,
)
from dolium.store import overview
from tests.control.world import World


def read(figures: Figures) -> dict[Metric, float]:
    return {found.metric: found.value for found in figures.read() if found.metric is not HOSTS}


def test_what_waits_and_what_is_open_is_told_with_its_age() -> None:
    world = World()
    figures = Figures(world.store, world.clock)
    nothing = {WAITING: 0, OLDEST_WAITING: 0, OPEN_ACTIONS: 0, OLDEST_ACTION: 0}
    assert read(figures) == nothing
    uuid = world.create("c1")
    world.clock.time += 30
    world.create("c2")
    found = read(figures)
    assert (found[WAITING], found[OPEN_ACTIONS]) == (2, 2)
    assert 30 <= found[OLDEST_WAITING] < 31 and 30 <= found[OLDEST_ACTION] < 31
    world.placer.turn()
    found = read(figures)
    assert (found[WAITING], found[OLDEST_WAITING], found[OPEN_ACTIONS]) == (0, 0, 2)
    world.post(world.fact(uuid, results=(world.done(uuid),)))
    found = read(figures)
    assert found[OPEN_ACTIONS] == 1 and found[OLDEST_ACTION] < 1


def test_ended_actions_are_not_looked_at_again() -> None:
    world = World()
    late, overview.LATE = overview.LATE, 2
    try:
        for number in range(6):
            world.running(f"c{number}")
        last = world.create("open")
        with world.store.read() as connection:
            first = overview.unfinished(connection)
            later = overview.unfinished(connection, first.first)
        assert (first.number, first.first) == (1, 5)
        assert later == first
        assert last
    finally:
        overview.LATE = late


def test_hosts_are_counted_by_state() -> None:
    world = World()
    figures = Figures(world.store, world.clock)

    def states() -> dict[str, float]:
        found = {v.labels[0]: v.value for v in figures.read() if v.metric is HOSTS}
        assert found.keys() == {state.value for state in Standing}, "0 is told too"
        return {state: number for state, number in found.items() if number}

    assert states() == {"up": 1}
    world.services.disable("host1", "a new disk")
    assert states() == {"disabled": 1}
    world.services.force_down("host1", True)
    assert states() == {"forced_down": 1}
    world.services.declare("host1")
    assert states() == {"gone": 1}


def test_the_worst_of_a_hosts_states_is_shown() -> None:
    worst: dict[str, object] = {}
    for name, value in (("disabled", True), ("forced_down", True), ("silent", True)):
        worst[name] = value
        known = {"proof": None, "silent": False, "held": False} | worst
        found = standing(**({"disabled": False, "forced_down": False} | known))  # type: ignore[arg-type]
        assert found == name
    everything = dict.fromkeys(("disabled", "forced_down", "silent", "held"), True)
    assert standing(proof=None, **everything) is Standing.HELD
    assert standing(proof="burnt", **everything) is Standing.GONE


def test_the_placer_counts_what_is_durable() -> None:
    world = World()
    meter = world.store.meter
    world.create("c1")
    world.create("c2", availability_zone="mars")
    world.placer.turn()
    assert (meter.counts(PLACED), meter.counts(UNPLACED)) == ({(): 1}, {(): 1})
    assert sum(meter.spreads(PLACING)[()].counts) == 1
    world.placer.turn()
    assert sum(meter.spreads(PLACING)[()].counts) == 1, "a look at nothing is no pass"
