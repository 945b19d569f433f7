"""Control processes die: how long the work stands still, and how long the herd behind it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tests.databases import MariaDb
from tests.perf import population, scale, wire
from tests.perf.figure import Figure, raw
from tests.perf.fleet import Fleet, context, fleet

HOSTS, CONTAINERS = 1000, 3000
PACE_S = 0.02
"""Between two creates while a conductor dies."""
BEFORE_S, AFTER_S = 2.0, 6.0
COLD = "From the start of all control processes, under 1,000 agents at once, until all is in sync"
DEAD = "Longest time from a create to its place while one of two conductors is killed"


def measure() -> Iterable[Figure]:
    """On MariaDB; agents that only speak the link."""
    if missing := MariaDb.missing():
        note = f"not installed: {missing}"
        yield Figure(name="dead-conductor", what=DEAD, target=3, unit="s", note=note)
        yield Figure(name="cold-herd", what=COLD, target=60, unit="s", note=note)
        return
    with fleet(HOSTS, CONTAINERS) as cloud:
        cloud.start()
        with cloud.agents() as agents:
            agents.go()
            agents.met()
            yield _conductors(cloud)
            cloud.settle()
            took, cost = scale.cold_start(cloud, agents)
            yield Figure(
                name="cold-herd",
                what=COLD,
                ours=f"{took:.1f} s, {cost.statements:,} statements",
                peer="none: a budget",
                value=took,
                target=60,
                unit="s",
            )


def _conductors(cloud: Fleet) -> Figure:
    """Each is killed once, as nobody knows which of the two would have done the work."""
    gaps: list[float] = []
    for victim in cloud.conductors:
        gaps.append(_gap(cloud, victim.kill))
        victim.start()
        victim.ready()
    usual = _gap(cloud, lambda: None)
    return Figure(
        name="dead-conductor",
        what=DEAD,
        ours=", ".join(f"{gap:.2f} s" for gap in gaps),
        peer=f"nobody is killed: {usual:.2f} s",
        value=max(gaps),
        target=3,
        unit="s",
        raw=raw(killed_s=gaps, usual_s=[usual]),
    )


def _gap(cloud: Fleet, strike: Callable[[], None]) -> float:
    """The longest of all that are created around the strike."""
    begun: dict[str, float] = {}
    placed: dict[str, float] = {}

    def look() -> bool:
        now = time.monotonic()
        for uuid in _placed(cloud, [uuid for uuid in begun if uuid not in placed]):
            placed[uuid] = now
        return len(placed) == len(begun)

    with cloud.client() as client:
        time.sleep(1.0)  # until the others are known
        begin, struck = time.monotonic(), False
        while (now := time.monotonic()) < begin + BEFORE_S + AFTER_S:
            if not struck and now > begin + BEFORE_S:
                strike()
                struck = True
            at = time.monotonic()
            row = client.create(context(f"gap{len(begun) % 20}"), None, population.SPEC, True)
            begun[row.uuid] = at
            look()
            time.sleep(PACE_S)
        wire.wait(look, "all are placed")
    return max(placed[uuid] - at for uuid, at in begun.items())


def _placed(cloud: Fleet, uuids: list[str]) -> list[str]:
    if not uuids:
        return []
    marks = ", ".join(f"'{uuid}'" for uuid in uuids)
    with cloud.store.glance() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT container_uuid FROM claims WHERE container_uuid IN ({marks})"
        )
        return [row[0] for row in rows]
