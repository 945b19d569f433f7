"""From POST to Running, over Docker's own API; and what of it is Dolium's own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.perf.figure import Figure, Samples, alternate, ms, ratio, raw
from tests.perf.installation import Owned
from tests.perf.lab import Lab
from tests.perf.plain import like, timed

ROUNDS, WARM = 20, 3
PATIENT, LOOK_S = 0.8, 0.005
"""The part of the shortest start in which nobody looks, and how often one looks after that."""

OLD_BUDGET, NEW_BUDGET = 1.35, 1.15
"""Docker wires its own bridge inside the daemon; before 26 it wires plugins' networks slowly."""


def measure(lab: Lab) -> Iterable[Figure]:
    """The same image and limits on all sides; what was made is removed between two samples."""
    owned = Owned(lab.installation.client("admin-openrc"))
    docker = lab.installation.docker()
    own: list[float] = []
    starts: list[float] = []

    def ours() -> float:
        began, start = time.time(), time.perf_counter()
        uuid = owned.create("bench", run=True)
        # Who looks all the time takes a tenth of the machine from what he waits for.
        time.sleep(PATIENT * min(starts, default=0.0))
        owned.until(uuid, "Running", LOOK_S)
        took = time.perf_counter() - start
        starts.append(took)
        ident = docker.named(uuid)
        assert ident is not None
        own.append(created(docker.inspect(ident)) - began)
        owned.delete(uuid)
        owned.gone(uuid)
        return took

    pattern = shape(lab)
    network = str(pattern["HostConfig"]["NetworkMode"])
    beside, outside = like(pattern, network), like(pattern, "bridge")
    alike = like(pattern, lab.bridge.network("alike"))
    sides = (
        ours,
        lambda: timed(docker, beside),
        lambda: timed(lab.bridge, outside),
        lambda: timed(lab.bridge, alike),
    )
    alternate(WARM, *sides)
    own.clear()
    mine, same, bridge, named = alternate(ROUNDS, *sides)
    yield _start("start-same-network", "Docker's API on the same network", mine, same, 1.10)
    version = lab.bridge.version()
    budget = NEW_BUDGET if int(version.partition(".")[0]) >= 26 else OLD_BUDGET
    yield _start(
        "start-bridge",
        f"Docker {version} on its own bridge",
        mine,
        bridge,
        budget,
        f"that bridge has neither names nor IPv6; on a bridge network with both the same engine "
        f"needs {_shown(named)}, and the figure would be {ratio(mine, named):.2f}x",
    )
    yield from _own(Samples(own))


def _start(
    name: str, peer: str, mine: Samples, theirs: Samples, target: float, note: str = ""
) -> Figure:
    return Figure(
        name=name,
        what=f"POST to Running, over {peer}",
        ours=_shown(mine),
        peer=f"{peer}: {_shown(theirs)}",
        value=ratio(mine, theirs),
        target=target,
        note=note,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _own(own: Samples) -> Iterable[Figure]:
    what = "Dolium's own time between POST and Docker's create call"
    for name, value, target in (("p50", own.p50, 10.0), ("p95", own.p95, 25.0)):
        yield Figure(
            name=f"own-time-{name}",
            what=f"{what}, {name}",
            ours=_shown(own),
            peer="none: a budget",
            value=value * 1000,
            target=target,
            unit="ms",
            raw=raw(ours_s=own.values) if name == "p50" else {},
        )


def shape(lab: Lab) -> dict[str, Any]:
    """How Docker shows a container of Dolium's."""
    docker, owned = lab.installation.docker(), Owned(lab.installation.client("admin-openrc"))
    uuid = owned.create("pattern", run=True)
    owned.until(uuid, "Running")
    ident = docker.named(uuid)
    assert ident is not None
    seen: dict[str, Any] = docker.inspect(ident)
    owned.delete(uuid)
    owned.gone(uuid)
    return seen


def created(inspected: dict[str, Any]) -> float:
    """When Docker began to create it, by the clock of this machine."""
    # Nanoseconds are more than Python reads.
    text = inspected["Created"]
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _shown(samples: Samples) -> str:
    return f"{ms(samples.p50)} / {ms(samples.p95)} (p50/p95)"
