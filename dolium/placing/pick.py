"""The algorithm: the least loaded of a few hosts that fit, met on a random walk.

A full scan costs more with every host; the first log2(N) that fit, met in random order, spread
nearly as well for a few microseconds. The walk ends early only after it found enough, so None
means that really no host fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, inf
from random import Random
from typing import TypeVar

from dolium.model.placing import Request
from dolium.placing.slot import Slot

Item = TypeVar("Item")


def cycle(items: Sequence[Item], rng: Random) -> Iterator[Item]:
    """Every item once, from a random place in a random stride: a shuffle without shuffling."""
    n = len(items)
    if not n:
        return iter(())
    at, stride = int(rng.random() * n), _coprime(n, rng)
    return (items[step % n] for step in range(at, at + n * stride, stride))


def pick(slots: Sequence[Slot], request: Request, rng: Random) -> Slot | None:
    """The least loaded of the first log2(N) slots that fit; None only if none fits."""
    cpu, memory, disk = request.cpu_m, request.memory_mib, request.disk_gib
    enough = max(2, len(slots).bit_length())
    best, least = None, inf
    for slot in cycle(slots, rng):
        load = slot.load(cpu, memory, disk)
        if load is None:
            continue
        if load < least:
            best, least = slot, load
        enough -= 1
        if not enough:
            break
    return best


def _coprime(n: int, rng: Random) -> int:
    """A random stride that meets all of n places before it meets one twice."""
    while True:
        stride = 1 + int(rng.random() * n)
        if gcd(stride, n) == 1:
            return stride
