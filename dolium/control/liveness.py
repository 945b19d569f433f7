"""Which hosts count as silent: decided from counters and one's own clock, never from two clocks.

Pure. A judge that has just started, or has slept, knows nothing and waits before it judges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from msgspec import Struct

from dolium.store.liveness import Life

CROWD = 10
"""More than one host in so many that fall silent at once: rather we are deaf."""


class Judgement(Struct, frozen=True, kw_only=True):
    """What has changed about hosts: names with the count of signs of life that was seen."""

    fallen: dict[str, int]
    """Silent from now on."""
    risen: dict[str, int]
    """Silent no longer."""
    held: frozenset[str]
    """Fell silent together with too many others: nothing of them is made anew unasked."""
    kept: dict[str, int]
    """Silent for so long that their agents have kept the promise to stop what may run elsewhere."""


class _Pulse(Struct):
    beat: int
    since: float
    known_since: float | None = None
    """When it was first seen that the host is written down as silent."""


class Judge:
    """Watches counters of signs of life; one per conductor."""

    def __init__(self, silent_s: float, margin_s: float) -> None:
        """silent_s: how long a counter may stand still; margin_s: what a promise is late by."""
        self._silent_s = silent_s
        self._margin_s = margin_s
        self._pulses: dict[str, _Pulse] = {}
        self._looked: float | None = None

    def look(self, now: float, lives: Sequence[Life]) -> Judgement:
        """Judge by what the counters are now; `now` is of one's own monotonic clock."""
        if self._looked is None or now - self._looked > self._silent_s / 2:
            self._pulses = {}  # whatever stood still meanwhile, so did we
        self._looked = now
        risen = self._feel(now, lives)
        quiet = {life.name: now - self._pulses[life.name].since for life in lives}
        fallen = {
            life.name: life.beat
            for life in lives
            if not life.silent and quiet[life.name] >= self._silent_s
        }
        return Judgement(
            fallen=fallen,
            risen=risen,
            held=self._held(fallen, quiet, lives),
            kept={life.name: life.beat for life in lives if self._kept(life, now)},
        )

    def _feel(self, now: float, lives: Sequence[Life]) -> dict[str, int]:
        """Take the counters; returns who is silent and has moved."""
        before, self._pulses = self._pulses, {}
        risen = {}
        for life in lives:
            known = before.get(life.name)
            if known is not None and known.beat == life.beat:
                pulse = known
            else:
                pulse = _Pulse(life.beat, now)
            if not life.silent:
                pulse.known_since = None
            elif pulse.known_since is None:
                pulse.known_since = now
            self._pulses[life.name] = pulse
            if pulse is not known and known is not None and life.silent and life.proof is None:
                risen[life.name] = life.beat
        return risen

    def _held(
        self, fallen: Collection[str], quiet: dict[str, float], lives: Sequence[Life]
    ) -> frozenset[str]:
        """Whoever fell in too large a company, or soon after it. Those who are halfway there
        count: agents speak at their own times, so that hosts which died at once fall one after
        another.
        """
        half = self._silent_s / 2
        held: set[str] = set()
        told = {life.name for life in lives if life.declared}  # an operator knows
        for length in {quiet[name] for name in fallen}:
            company = {
                life.name: life.held
                for life in lives
                if life.proof is None
                and quiet[life.name] >= half
                and abs(quiet[life.name] - length) <= half
            }
            if crowded(company, lives) or any(company.values()):
                held |= company.keys()
        return frozenset(held - told)

    def _kept(self, life: Life, now: float) -> bool:
        """Counted from when its silence was written down: whom the control side answers later is
        counted first (hosts.py), and whom it answered earlier has no longer lease than that.
        """
        since = self._pulses[life.name].known_since
        if since is None or not life.lease_s or life.held or life.proof is not None:
            return False
        return now - since >= life.lease_s + self._margin_s


def crowded(company: Collection[str], lives: Sequence[Life]) -> bool:
    """Whether so many hosts at once mean that we are cut off rather than they are dead: more than
    a tenth (and more than one), or every host of a failure domain.
    """
    if len(company) > 1 and len(company) * CROWD > len(lives):
        return True
    members: defaultdict[str, set[str]] = defaultdict(set)
    for life in lives:
        for domain in domains(life):
            members[domain].add(life.name)
    return any(len(names) > 1 and names <= set(company) for names in members.values())


def domains(life: Life) -> tuple[str, ...]:
    """The failure domains a host is in, each by a name of its own."""
    return (life.zone,)
