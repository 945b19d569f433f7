"""A fleet of hosts and a mix of requests, the same for everything that measures placing."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dolium.model.placing import Amounts, Group, Host, Level, Request

ZONES = 5
TOTAL = Amounts(64_000, 98_304, 1000)


PER_RACK = 40
MEMBERS = 10
"""Containers of one group."""


def fleet(n: int, per_rack: int = PER_RACK) -> list[Host]:
    """Empty hosts of one size, over five zones, racks of 40 and two kinds of disk."""
    return [
        Host(
            name=f"h{at}",
            total=TOTAL,
            free=TOTAL,
            region="east",
            zone=f"z{at % ZONES}",
            rack=f"r{at // ZONES // per_rack}",
            labels={"disk": "ssd" if at % 2 else "hdd"},
        )
        for at in range(n)
    ]


def mix(n: int, rng: Random) -> list[Request]:
    """Half unconstrained, three in ten on one kind of disk, two in ten in one zone."""
    return [_request(str(at), rng) for at in range(n)]


def grouped(n: int, rng: Random) -> list[Request]:
    """The same, and of every ten containers five are of a group of ten: one of them not in one
    rack, one not on one machine, one softly not in one rack, one in one zone, one just a group.

    Groups come mixed, as many users at once send them. Those with hard rules name no zone: some
    would fit nowhere.
    """
    asked = [_request(str(at), rng) for at in range(n)]
    kinds = [_kind(number, rng.randrange(10)) for number in range(n // MEMBERS + 1)]
    rng.shuffle(asked)
    places = [at // MEMBERS for at in range(n)]
    for start in range(0, n, 100 * MEMBERS):
        part = places[start : start + 100 * MEMBERS]
        rng.shuffle(part)
        places[start : start + 100 * MEMBERS] = part
    return [_join(one, kinds[at]) for one, at in zip(asked, places, strict=True)]


def _join(request: Request, group: Group | None) -> Request:
    if group is None:
        return request
    hard = group.affinity is not None or group.anti_affinity is not None
    return replace(request, group=group, zone=None if hard else request.zone)


def _kind(number: int, kind: int) -> Group | None:
    wish: dict[str, Level] = {}
    if kind == 0:
        wish = {"anti_affinity": Level.RACK}
    elif kind == 1:
        wish = {"anti_affinity": Level.HOST}
    elif kind == 2:
        wish = {"soft_anti_affinity": Level.RACK}
    elif kind == 3:
        wish = {"affinity": Level.ZONE}
    elif kind > 4:
        return None
    return Group(id=number, name=f"g{number}", **wish)


def _request(uuid: str, rng: Random) -> Request:
    kind = rng.randrange(10)
    return Request(
        uuid=uuid,
        project_id="p",
        cpu_m=rng.choice([500, 1000, 2000]),
        memory_mib=rng.choice([256, 512, 1024, 2048]),
        labels={"disk": "ssd"} if kind in (5, 6, 7) else {},
        zone=f"z{rng.randrange(ZONES)}" if kind in (8, 9) else None,
    )
