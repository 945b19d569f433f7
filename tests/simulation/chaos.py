"""What goes wrong and when: one seeded source of kills, faults, delays and their record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dolium import errors
from dolium.agent.journal import Journal

if TYPE_CHECKING:
    from msgspec import Struct

PROFILES: tuple[dict[str, float], ...] = (
    {},
    {"kills": 0.4},
    {"kills": 0.1, "link": 0.3},
    {"engine": 0.2},
    {"engine": 0.1, "kills": 0.2},
    {"store": 0.1, "link": 0.1},
    {"kills": 0.1, "link": 0.05, "engine": 0.05, "store": 0.02},
)
"""How likely what goes wrong; one schedule has one of these, so that some things go far.
A test may add `signals`: how likely users send one where they can."""
ORDERS = frozenset({"create", "start", "stop", "kill", "pause", "unpause", "remove"})
"""Calls after which it is worst to die."""


class Killed(BaseException):
    """The agent's process ends here."""


class ControlKilled(BaseException):
    """The control side's process ends here."""


class Clock:
    """Time that passes when told to, and a microsecond with each look."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        self.time += 1e-6
        return self.time

    def monotonic(self) -> float:
        return self.time


class Chaos:
    """Decides at every boundary. All chance of a schedule comes from its one generator."""

    def __init__(self, seed: int, bad: dict[str, float] | None = None) -> None:
        """bad: what goes wrong and how likely; None lets the dice choose."""
        self.rng = random.Random(seed)
        self.on = True
        self.trace: list[str] = []
        self.delayed: list[tuple[str, Callable[[], object]]] = []
        """Messages still on their way: they arrive some time, in any order."""
        chosen = self.rng.choice(PROFILES)
        bad = chosen if bad is None else bad
        self.engine_faults = bad.get("engine", 0.0)
        self.link_faults = bad.get("link", 0.0)
        self.store_faults = bad.get("store", 0.0)
        self.kills = bad.get("kills", 0.0)
        self.signals = bad.get("signals", 0.0)
        self._mortal = False
        self._fuel: int | None = None

    def note(self, what: str) -> None:
        """One line of the schedule."""
        self.trace.append(what)

    def chance(self, probability: float) -> bool:
        """Whether something with this probability happens now."""
        return self.on and self.rng.random() < probability

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """What runs inside may be killed at one of its boundaries."""
        self._fuel = self.rng.randint(1, 14) if self.chance(self.kills) else None
        self._mortal = True
        try:
            yield
        finally:
            self._fuel, self._mortal = None, False

    def boundary(self, what: str) -> None:
        """Between two steps of an agent."""
        if self._fuel is not None:
            self._fuel -= 1
            if self._fuel == 0:
                self._fuel = None
                self.note(f"  killed at {what}")
                raise Killed

    def outside(self, what: str, when: str) -> None:
        """Before and after each call of an engine or binder by an agent."""
        if when == "after" and what in ORDERS and self._mortal and self.chance(self.kills / 2):
            self._fuel = 1
        self.boundary(f"{when} {what}")
        if self.chance(self.engine_faults / 2):
            self.note(f"  no answer {when} {what}")
            raise errors.Unanswered(what="Engine", why="simulated silence")

    def message(self, what: str, call: Callable[[], object]) -> object:
        """Carry a message of an agent: it may be lost, late or doubled, or its answer lost."""
        self.boundary(f"before {what}")
        answer = self._carry(what, call)
        self.boundary(f"after {what}")
        return answer

    def _carry(self, what: str, call: Callable[[], object]) -> object:
        if not self.chance(self.link_faults):
            return call()
        fate = self.rng.choice(["lost", "late", "doubled", "answer lost"])
        self.note(f"  {what}: {fate}")
        if fate == "late":
            self.delayed.append((what, call))
        if fate in ("doubled", "answer lost"):
            answer = call()
        if fate == "doubled":
            again = call()
            return self.rng.choice([answer, again])
        raise errors.Unanswered(what="The control side", why="simulated silence")

    def deliver(self, count: int = 1) -> None:
        """Let delayed messages arrive; nobody waits for their answers any more."""
        for _ in range(min(count, len(self.delayed))):
            what, call = self.delayed.pop(self.rng.randrange(len(self.delayed)))
            self.note(f"late arrival of {what}")
            try:
                call()
            except errors.Error as error:
                self.note(f"  {error}")


class FragileJournal(Journal):
    """A journal whose owner may die before and after each write."""

    def __init__(self, chaos: Chaos) -> None:
        super().__init__(None)
        self._chaos = chaos

    def put(self, kind: str, key: str, doc: Struct) -> None:
        self._chaos.boundary(f"before noting {kind}")
        super().put(kind, key, doc)
        self._chaos.boundary(f"after noting {kind}")

    def drop(self, kind: str, key: str) -> bool:
        self._chaos.boundary(f"before dropping {kind}")
        done = super().drop(kind, key)
        self._chaos.boundary(f"after dropping {kind}")
        return done

    def left(self) -> set[tuple[str, str]]:
        """Everything in it, by kind and key."""
        return set(self._db.execute("SELECT kind, key FROM entry"))
