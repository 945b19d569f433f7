"""What goes wrong and when: one seeded source of kills, faults, delays and their record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import msgspec

from dolium import errors
from dolium.agent.journal import Journal
from dolium.model.wish import Page

if TYPE_CHECKING:
    from msgspec import Struct

T = TypeVar("T", bound=msgspec.Struct)

ABSENT: dict[str, float] = {
    **{"watch": 7, "fence": 3, "heal": 3, "judge": 1, "tell": 4, "on": 1, "verb": 6, "beat": 12},
    **{"mend": 1, "power": 0, "die": 1},
}
"""Of all profiles in which hosts are not heard of for long."""
PROFILES: tuple[dict[str, float], ...] = (
    {},
    {"kills": 0.4},
    {"kills": 0.1, "link": 0.4},
    {"link": 0.2, "old": 0.3, "late": 6},
    {"engine": 0.2},
    {"engine": 0.1, "kills": 0.2},
    {"store": 0.2, "link": 0.1},
    {"races": 0.8, "store": 0.1, "create": 8, "resize": 8, "place": 8},
    {"link": 0.1, "cut": 8, "mend": 3, "delete": 4},
    {"power": 6, "kills": 0.1},
    {"snapshot": 16, "restore": 10, "kills": 0.1, "link": 0.05},
    {"jump": 12, "kills": 0.1, "end": 6},
    {"kills": 0.1, "link": 0.1, "engine": 0.05, "store": 0.05, "races": 0.2, "cut": 2, "power": 2},
    {"races": 0.5, "groups": 0.8, "create": 12, "place": 10, "delete": 4, "beat": 30},
    {**ABSENT, "cut": 4, "races": 0.3},
    {**ABSENT, "off": 4, "races": 0.4, "kills": 0.1},
    {**ABSENT, "off": 2, "cut": 2, "link": 0.1, "store": 0.05, "wake": 4, "kills": 0.15},
    {**ABSENT, "off": 3, "cut": 2, "lie": 2, "snapshot": 6, "restore": 4},
)
"""How likely what goes wrong; one schedule has one of these, so that some things go far.

kills, link, old, engine, store, races and signals are chances at each boundary; any other name is
that of an action (world.py, ACTIONS), which gets this weight instead of its own.
"""
CAPSULES: tuple[dict[str, float], ...] = (
    {"capsule": 8, "uncapsule": 3, "create": 1},
    {"capsule": 6, "uncapsule": 2, "kills": 0.15, "link": 0.1, "engine": 0.05, "create": 1},
    {**ABSENT, "capsule": 6, "uncapsule": 2, "off": 2, "kills": 0.1, "races": 0.2},
    {"capsule": 8, "uncapsule": 4, "prepare": 12, "kills": 0.1, "engine": 0.05, "create": 1},
)
"""Where users make capsules: apart, so that seeds of the others mean what they meant."""
ORDERS = frozenset({"create", "start", "stop", "kill", "pause", "unpause", "remove"})
"""Calls after which it is worst to die."""
JUMPS = (-3600.0, -60.0, -5.0, 5.0, 60.0, 3600.0)


class Killed(BaseException):
    """The agent's process ends here."""


class ControlKilled(BaseException):
    """A process of the control side ends here."""


class Time:
    """The time that really passes: when told to, and a microsecond with each look."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        """No two looks see the same."""
        self.at += 1e-6
        return self.at


class Clock:
    """What one machine shows of it: its own wall clock, and a monotonic one of its own origin."""

    def __init__(self, time: Time, rng: random.Random) -> None:
        self._time = time
        self._rng = rng
        self._off = rng.uniform(-2.0, 2.0)
        self.boot()

    def boot(self) -> None:
        """The machine starts (again): its monotonic clock begins somewhere else."""
        self._origin = self._time.at - self._rng.uniform(1.0, 1000.0)

    def jump(self) -> float:
        """Somebody sets the wall clock; returns by how much."""
        by = self._rng.choice(JUMPS)
        self._off += by
        return by

    def now(self) -> float:
        """See dolium.model.clock."""
        return self._time.now() + self._off

    def monotonic(self) -> float:
        """See dolium.model.clock."""
        return self._time.at - self._origin


class Chaos:
    """Decides at every boundary. All chance of a schedule comes from its one generator."""

    def __init__(self, seed: int, bad: dict[str, float] | None = None) -> None:
        """bad: what goes wrong and how likely; None lets the dice choose."""
        self.rng = random.Random(seed)
        self.time = Time()
        self.on = True
        self.trace: list[str] = []
        self.delayed: list[tuple[str, Callable[[], object]]] = []
        """Messages still on their way: they arrive some time, in any order."""
        chosen = self.rng.choice(PROFILES)
        self.bad = bad = chosen if bad is None else bad
        self.engine_faults = bad.get("engine", 0.0)
        self.link_faults = bad.get("link", 0.0)
        self.old_answers = bad.get("old", 0.0)
        self.store_faults = bad.get("store", 0.0)
        self.races = bad.get("races", 0.0)
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
    def truce(self) -> Iterator[None]:
        """Nothing goes wrong inside."""
        before, self.on = self.on, False
        try:
            yield
        finally:
            self.on = before

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

    def deliver(self, count: int = 1) -> None:
        """Let delayed messages arrive; nobody waits for their answers any more."""
        for _ in range(min(count, len(self.delayed))):
            what, call = self.delayed.pop(self.rng.randrange(len(self.delayed)))
            self.note(f"late arrival of {what}")
            try:
                call()
            except errors.Error as error:
                self.note(f"  {error}")


class Wire:
    """One host's way to the control side: messages are lost, late, doubled or out of order."""

    STATES = ("cut", "deaf")
    """Of a partition: nothing arrives, or what is sent arrives and no answer comes back."""

    def __init__(self, chaos: Chaos, host: str) -> None:
        self.state = "whole"
        self._chaos = chaos
        self._host = host
        self._answers: list[tuple[str, object]] = []
        """What was answered to this run of the agent, whether or not it arrived."""

    def forget(self) -> None:
        """A connection of a new run of the agent: no answer of the old one comes over it."""
        self._answers.clear()

    def message(self, what: str, call: Callable[[], object]) -> object:
        """Carry a message of the agent and its answer."""
        self._chaos.boundary(f"before {what}")
        answer = self._carry(what, call)
        self._chaos.boundary(f"after {what}")
        return answer

    def _carry(self, what: str, call: Callable[[], object]) -> object:
        chaos = self._chaos
        if self.state != "whole":
            if self.state == "deaf":
                self._answered(what, call)
            raise errors.Unanswered(what="The control side", why=f"the link is {self.state}")
        if chaos.chance(chaos.old_answers):
            return self._old(what, self._answered(what, call))
        if not chaos.chance(chaos.link_faults):
            return self._answered(what, call)
        fate = chaos.rng.choice(["lost", "late", "doubled", "answer lost", "old answer"])
        chaos.note(f"  {self._host} {what}: {fate}")
        if fate == "late":
            chaos.delayed.append((f"{self._host} {what}", call))
        if fate in ("lost", "late"):
            raise errors.Unanswered(what="The control side", why="simulated silence")
        answer = self._answered(what, call)
        if fate == "answer lost":
            raise errors.Unanswered(what="The control side", why="simulated silence")
        if fate == "doubled":
            return chaos.rng.choice([answer, self._answered(what, call)])
        return self._old(what, answer)

    def _old(self, what: str, answer: object) -> object:
        """Instead of the answer one of before, of those that told of something."""
        older = [
            each
            for kind, each in self._answers
            if kind == what and (each.wishes if isinstance(each, Page) else True)
        ]
        found = self._chaos.rng.choice(older) if older else answer
        if found != answer:
            self._chaos.note(f"  {self._host} {what}: an old answer")
        return found

    def _answered(self, what: str, call: Callable[[], object]) -> object:
        answer = call()
        self._answers.append((what, answer))
        return answer


class FragileJournal(Journal):
    """A journal in memory whose owner may die before and after each write, and whose disk may
    one day show an older state.
    """

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._docs: dict[str, dict[str, bytes]] = {}
        self._depth = 0
        self.finished: dict[int, float] = {}
        """When the result of each command was first noted, by the action's number."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """See Journal."""
        before = self.copy() if not self._depth else None
        self._depth += 1
        try:
            yield
        except BaseException:
            if before is not None:
                self._docs = before
            raise
        finally:
            self._depth -= 1

    def put(self, kind: str, key: str, doc: Struct) -> None:
        """See Journal."""
        self._chaos.boundary(f"before noting {kind}")
        self._docs.setdefault(kind, {})[key] = msgspec.json.encode(doc)
        for result in getattr(doc, "items", ()):
            self.finished.setdefault(result.id, self._chaos.time.at)
        self._chaos.boundary(f"after noting {kind}")

    def get(self, kind: str, key: str, type: type[T]) -> T | None:
        """See Journal."""
        doc = self._docs.get(kind, {}).get(key)
        return msgspec.json.decode(doc, type=type) if doc is not None else None

    def all(self, kind: str, type: type[T]) -> dict[str, T]:
        """See Journal."""
        found = sorted(self._docs.get(kind, {}).items())
        return {key: msgspec.json.decode(doc, type=type) for key, doc in found}

    def drop(self, kind: str, key: str) -> bool:
        """See Journal."""
        self._chaos.boundary(f"before dropping {kind}")
        done = self._docs.get(kind, {}).pop(key, None) is not None
        self._chaos.boundary(f"after dropping {kind}")
        return done

    def has(self, kind: str) -> bool:
        """Whether there is any of a kind."""
        return bool(self._docs.get(kind))

    def copy(self) -> dict[str, dict[str, bytes]]:
        """All that is in it now."""
        return {kind: dict(docs) for kind, docs in self._docs.items()}

    def restore(self, older: dict[str, dict[str, bytes]]) -> None:
        """The disk shows what it showed then."""
        self._docs = {kind: dict(docs) for kind, docs in older.items()}

    def left(self) -> set[tuple[str, str]]:
        """Everything in it, by kind and key."""
        return {(kind, key) for kind, docs in self._docs.items() for key in docs}
