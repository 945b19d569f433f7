"""The algorithm: the least loaded of a few hosts that fit, met on a random walk.

A full scan costs more with every host; the first log2(N) that fit, met in random order, spread
nearly as well for a few microseconds. The walk ends early only after it found enough, so None
means that really no host fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd, inf
from random import Random

from dolium.model.placing import Request
from dolium.placing.slot import Slot


def walk(n: int, rng: Random) -> range:
    """Steps that, modulo n, meet each of n places once: a shuffle without shuffling.

    They begin at a random place and go on in a random stride.
    """
    if not n:
        return range(0)
    strides = _strides(n)
    at, stride = int(rng.random() * n), strides[int(rng.random() * len(strides))]
    return range(at, at + n * stride, stride)


def pick(slots: Sequence[Slot], request: Request, rng: Random) -> Slot | None:
    """The least loaded of the first log2(N) slots that fit; None only if none fits."""
    cpu, memory, disk = request.cpu_m, request.memory_mib, request.disk_gib
    n = len(slots)
    enough = max(2, n.bit_length())
    best, least = None, inf
    for step in walk(n, rng):
        slot = slots[step % n]
        load = slot.load(cpu, memory, disk)
        if load is None:
            continue
        if load < least:
            best, least = slot, load
        enough -= 1
        if not enough:
            break
    return best


@lru_cache(maxsize=64)
def _strides(n: int) -> tuple[int, ...]:
    """Strides that meet all of n places before they meet one twice."""
    return tuple(stride for stride in range(1, n + 1) if gcd(stride, n) == 1)
