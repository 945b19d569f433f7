"""One seed: chaos, calm, invariants; then everything is deleted and nothing may be left."""

from __future__ import annotations

from dolium.model.container import Status
from tests.simulation import capsules, invariants
from tests.simulation.control import FragileStore
from tests.simulation.invariants import HostWatcher, Watcher
from tests.simulation.world import PROJECTS, World


class Failed(AssertionError):
    """A schedule broke an invariant; the text is the schedule."""


def run(seed: int, store: FragileStore, bad: dict[str, float] | None = None) -> list[str]:
    """Play one schedule; returns its trace, raises Failed with it."""
    world = World(seed, store, bad)
    try:
        _play(world)
    except Exception as error:
        trace = "\n".join(world.chaos.trace)
        raise Failed(f"seed {seed}: {type(error).__name__}: {error}\n{trace}") from error
    return world.chaos.trace


def _play(world: World) -> None:
    watchers = [Watcher(world, project) for project in PROJECTS]
    pages = [HostWatcher(world, machine.name) for machine in world.machines]
    for machine in world.machines:
        machine.engine.witness = invariants.at_each_start(world, machine)
    world.begin()
    for _ in range((world.rng.randint(2, 8) + len(world.machines)) * 3 // 4):
        world.play(10)
        invariants.always(world)
        world.rng.choice(watchers).read()
        world.rng.choice(pages).read()
    world.calm()
    invariants.always(world)
    invariants.calm(world)
    paused = [row for row in world.rows() if row.status == Status.PAUSED]
    for row in paused:  # which nothing but unpausing is allowed for
        world.unpause(row)
    if paused:
        world.calm(2)
    for row in world.rows():
        world.process().containers.delete(world.who(), row, force=True)
    capsules.clear(world)
    world.calm()
    invariants.empty(world)
    for watcher in watchers:
        watcher.read()
    for page in pages:
        page.read()
