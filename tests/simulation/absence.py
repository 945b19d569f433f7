"""Hosts that are not heard of: the power switch, operators' words, and what conductors make of it.

The functions are actions of the world (world.py, ACTIONS).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dolium import errors
from dolium.control.lost import Lost
from dolium.drivers.fence.base import Driver
from dolium.store.containers import Observed
from dolium.store.liveness import Life
from dolium.store.store import Tx

if TYPE_CHECKING:
    from tests.simulation.control import FragileStore, Process
    from tests.simulation.machines import Machine
    from tests.simulation.world import World

T = TypeVar("T")

TICK_S = 14.0
"""Between two looks of a judge, two pulls of an agent, and two looks of it at its lease."""


class Switch(Driver):
    """The power of all hosts, for those who reach it; who does not can see what is off."""

    name = "switch"
    Options = type(None)

    def __init__(self, world: World) -> None:
        self._world = world
        self._reaches = world.rng.random() < 0.6

    def off(self, host: str) -> str:
        """See base: the truth, if it says anything; it may be late, or silent about what it did."""
        chaos = self._world.chaos
        machine = next(machine for machine in self._world.machines if machine.name == host)
        if chaos.chance(0.3):
            if self._reaches and chaos.chance(0.5):
                off = partial(_off, self._world, machine)
                chaos.delayed.append((f"the order to turn {host} off", off))
            raise errors.Unanswered(what="The power switch", why="simulated silence")
        if machine.on and not self._reaches:
            raise errors.Refused(why=f"Host {host} is on")
        chaos.note(f"  {host} is turned off" if machine.on else f"  {host} is off")
        _off(self._world, machine)
        return "its power is off"


class Slow:
    """A store as somebody meets it who takes his time between looking and writing."""

    def __init__(self, store: FragileStore, others: Callable[[], None]) -> None:
        """others: have their turn before each write."""
        self.read, self.glance = store.read, store.glance
        self._store = store
        self._others = others

    def write(self, work: Callable[[Tx], T]) -> T:
        """See Store."""
        self._others()
        return self._store.write(work)


class WatchedLost(Lost):
    """A conductor whose deeds are looked at."""

    moved: Callable[[str, str], None]
    """Told of each container that is made anew, and of the host it was on."""

    def _move(self, tx: Tx, row: Observed, life: Life, at: float) -> None:
        super()._move(tx, row, life, at)
        self.moved(row.uuid, life.name)


# --- conductors -----------------------------------------------------------------------------------


def judge(world: World) -> None:
    """One conductor looks at the signs of life; and one API process writes down some."""
    world.attempt("signs of life", lambda process: process.heartbeats.flush())
    world.attempt("judge", lambda process: process.lost.judge())


def fence(world: World) -> None:
    """One conductor asks for proofs."""
    world.attempt("fence", lambda process: process.lost.fence())


def heal(world: World) -> None:
    """One conductor makes anew what the proven lost leave."""
    world.attempt("healer", lambda process: process.lost.heal())


def watch(world: World) -> None:
    """A while in which agents and conductors do what they do all the time."""
    for _ in range(world.rng.randint(2, 8)):
        world.elapse(TICK_S)
        for machine in world.machines:
            if machine.wire.state != "cut":
                machine.do("pull", lambda core: core.pull().revision)
        for process in world.processes:
            if world.rng.random() < 0.7:
                world.by(process, "signs of life", lambda process: process.heartbeats.flush())
            world.by(process, "judge", lambda process: process.lost.judge())
        if world.rng.random() < 0.3:
            fence(world)
            heal(world)


def settle(world: World) -> None:
    """In the calm: whoever is heard of is no longer silent."""
    for _ in range(2):
        for process in world.processes:
            process.heartbeats.flush()
            process.lost.judge()
        for machine in world.machines:
            machine.do("pull", lambda core: core.pull().revision)


# --- machines -------------------------------------------------------------------------------------


def off(world: World) -> None:
    """A machine has no power any more."""
    machine = world.machine()
    world.chaos.note(f"{machine.name}: no power")
    _off(world, machine)


def _off(world: World, machine: Machine) -> None:
    machine.off()
    world.downs = True


def on(world: World) -> None:
    """One that was off starts again."""
    dark = [machine for machine in world.machines if not machine.on]
    if dark:
        _start(world, world.rng.choice(dark))


def _start(world: World, machine: Machine) -> None:
    world.chaos.note(f"{machine.name}: power again")
    machine.start()


def come_back(world: World) -> None:
    """A host that was away is there again, and says so."""
    away = [
        machine for machine in world.machines if not machine.on or machine.wire.state != "whole"
    ]
    if not away:
        return
    machine = world.rng.choice(away)
    machine.wire.state = "whole"
    if not machine.on:
        _start(world, machine)
    machine.wake()
    for _ in range(world.rng.randint(1, 3)):
        machine.do("pull", lambda core: core.pull().revision)
    for _ in range(world.rng.randint(0, 3)):
        machine.do("step", machine.step)


# --- operators ------------------------------------------------------------------------------------


def tell(world: World) -> None:
    """An operator says what is so, or what does no harm."""
    machine, rng = world.rng.choice(world.machines), world.rng
    if rng.random() < 0.5:
        word: Callable[[Process], None] = lambda process: process.services.heal(machine.name)  # noqa: E731
        world.attempt(f"operator: heal {machine.name}", word)
    elif machine.on:
        word = lambda process: process.services.force_down(machine.name, False)  # noqa: E731
        world.attempt(f"operator: {machine.name} is up", word)
    elif rng.random() < 0.7:
        word = lambda process: process.services.force_down(machine.name, True)  # noqa: E731
        world.attempt(f"operator: {machine.name} is down", word)
    else:
        word = lambda process: process.services.declare(machine.name)  # noqa: E731
        world.attempt(f"operator: {machine.name} is gone for certain", word)


def lie(world: World) -> None:
    """An operator is wrong: until all is calm there may be two of what ran on that host."""
    machine = world.rng.choice(world.machines)
    world.gone.add(machine.name)
    world.attempt(
        f"operator, who is wrong: {machine.name} is gone for certain",
        lambda process: process.services.declare(machine.name),
    )
