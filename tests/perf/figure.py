"""One line of the table of budgets: what Dolium took, what its peer took in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from statistics import median

from msgspec import Struct, field


class Samples(Struct, frozen=True):
    """Measured values of one side; seconds, unless the figure's unit says otherwise."""

    values: list[float]

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def p95(self) -> float:
        """The value that one in twenty exceeds."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


class Figure(Struct, frozen=True, kw_only=True):
    """One budget and what was measured. Numbers are None where the note says why not."""

    name: str
    what: str
    ours: str = ""
    """What Dolium needed, for people."""
    peer: str = ""
    """What it was compared with and what that needed, for people."""
    value: float | None = None
    """The number the budget is about."""
    target: float
    at_least: bool = False
    """True: the value has to reach the target; False: it must not exceed it."""
    unit: str = "x"
    note: str = ""
    raw: dict[str, list[float]] = field(default_factory=dict)
    """All samples, for whoever wants to look closer."""

    @property
    def met(self) -> bool | None:
        """Whether the budget holds; None when nothing was measured."""
        if self.value is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def budget(self) -> str:
        """The target as people write it."""
        return f"{'>=' if self.at_least else '<='} {self.target:g}{_unit(self.unit)}"

    @property
    def measured(self) -> str:
        """The value as people write it."""
        return "-" if self.value is None else f"{self.value:.3g}{_unit(self.unit)}"


def _unit(unit: str) -> str:
    return "x" if unit == "x" else f" {unit}"


def ms(seconds: float) -> str:
    """Seconds as milliseconds, for people."""
    return f"{seconds * 1000:.3g} ms"


def alternate(rounds: int, *sides: Callable[[], float]) -> list[Samples]:
    """Measure all sides in every round, each round in another order.

    So none has better air, nor always comes after the same: an engine still clears away what the
    one before has left.
    """
    rng = Random(1)
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side in rng.sample(range(len(sides)), len(sides)):
            taken[side].append(sides[side]())
    return [Samples(values) for values in taken]


def ratio(ours: Samples, peer: Samples) -> float:
    """How many times the peer's median ours is."""
    return ours.p50 / peer.p50


def raw(**sides: Sequence[float]) -> dict[str, list[float]]:
    """Samples by side, rounded to what a clock can mean."""
    return {name: [float(f"{value:.6g}") for value in values] for name, values in sides.items()}
