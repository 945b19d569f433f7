"""A fleet of hosts and a mix of requests, the same for everything that measures placing."""

from __future__ import annotations

from random import Random

from dolium.model.placing import Amounts, Host, Request

ZONES = 5
TOTAL = Amounts(64_000, 98_304, 1000)


def fleet(n: int) -> list[Host]:
    """Empty hosts of one size, over five zones and two kinds of disk."""
    return [
        Host(
            name=f"h{at}",
            total=TOTAL,
            free=TOTAL,
            zone=f"z{at % ZONES}",
            labels={"disk": "ssd" if at % 2 else "hdd"},
        )
        for at in range(n)
    ]


def mix(n: int, rng: Random) -> list[Request]:
    """Half unconstrained, three in ten on one kind of disk, two in ten in one zone."""
    return [_request(str(at), rng) for at in range(n)]


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
