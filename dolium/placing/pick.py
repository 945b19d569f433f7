"""Placing policies: which of the hosts that fit a container gets.

A policy is a class with options, registered in the entry-point group `dolium.placing` and chosen
by `[placing] policy`. It is asked for one of a few or of all hosts; which ones come into question,
and how a group spreads over failure domains, is decided before (`index.py`, `near.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd, inf
from random import Random
from typing import Protocol

from msgspec import Struct

from dolium.placing.slot import Load, Slot


class SampleOptions(Struct, frozen=True):
    """Of both policies here."""

    samples: int = 0
    """Hosts with room that are compared for one decision; 0: log2 of how many hosts there are."""


class Policy(Protocol):
    """Chooses among hosts."""

    about: str
    """What it chooses, for people: `the emptiest of a few`."""

    def pick(self, slots: Sequence[Slot], load: Load, rng: Random, enough: int = 0) -> Slot | None:
        """One that will do, None only if none of them does; at each decision.

        enough: how many to compare; 0 is the policy's own number.
        """
        ...


class Spread:
    """The least loaded of the first few that fit, met on a random walk.

    A full scan costs more with every host; the first log2(N) that fit, met in random order,
    spread nearly as well for a few microseconds. The walk ends early only after it found enough,
    so None means that really no host fits.
    """

    Options = SampleOptions
    about = "the emptiest of a few met by chance"

    def __init__(self, options: SampleOptions | None = None) -> None:
        self._samples = (options or SampleOptions()).samples

    def pick(self, slots: Sequence[Slot], load: Load, rng: Random, enough: int = 0) -> Slot | None:
        """The least loaded of the first few on the walk; None only if none fits."""
        n = len(slots)
        # Where all are to be compared any order will do.
        steps = range(n) if enough >= n else walk(n, rng)
        enough = enough or self._samples or max(2, n.bit_length())
        best, least = None, inf
        for step in steps:
            slot = slots[step % n]
            share = load(slot)
            if share is None:
                continue
            if share < least:
                best, least = slot, share
            enough -= 1
            if not enough:
                break
        return best


class Pack:
    """The fullest of the first few that fit, always in the same order.

    The first hosts fill up before later ones are used, which keeps those free for something large
    or for being switched off.
    """

    Options = SampleOptions
    about = "the fullest of the first few with room"

    def __init__(self, options: SampleOptions | None = None) -> None:
        self._samples = (options or SampleOptions()).samples

    def pick(self, slots: Sequence[Slot], load: Load, rng: Random, enough: int = 0) -> Slot | None:
        """The fullest of the first few; None only if none fits."""
        enough = enough or self._samples or max(2, len(slots).bit_length())
        best, most = None, -inf
        for slot in slots:
            share = load(slot)
            if share is None:
                continue
            if share > most:
                best, most = slot, share
            enough -= 1
            if not enough:
                break
        return best


def walk(n: int, rng: Random) -> range:
    """Steps that, modulo n, meet each of n places once: a shuffle without shuffling.

    They begin at a random place and go on in a random stride.
    """
    if not n:
        return range(0)
    strides = _strides(n)
    at, stride = int(rng.random() * n), strides[int(rng.random() * len(strides))]
    return range(at, at + n * stride, stride)


@lru_cache(maxsize=64)
def _strides(n: int) -> tuple[int, ...]:
    """Strides that meet all of n places before they meet one twice."""
    return tuple(stride for stride in range(1, n + 1) if gcd(stride, n) == 1)
