"""From POST to Running: a capsule of two containers beside one container, on the same engine."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from tests.perf import wire
from tests.perf.figure import Figure, Samples, alternate, ms, ratio, raw
from tests.perf.lab import Lab
from tests.perf.plain import IMAGE
from tests.perf.starts import LOOK_S

ROUNDS, WARM = 12, 2
READY = "dolium-ready-"
BUDGET = 1.30

LIMITS = {"cpu": 0.5, "memory": 64}
ENDS = ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]
"""Ends at once when asked to: a capsule is deleted as patiently as it was written."""


def measure(lab: Lab) -> Iterable[Figure]:
    """Image, limits and ways of looking are the same on all sides. A sandbox is ready before each
    sample begins, so that nothing is made beside it, and taken away where none is to be had.
    """
    client = lab.installation.client("admin-openrc")
    docker = lab.installation.docker()
    news = _News(lab.installation.client("admin-openrc"))

    def waited(kind: str, uuid: str, begun: float) -> float:
        news.until_runs(uuid)
        took = time.perf_counter() - begun
        path = f"/v1/{kind}/{uuid}"
        client.raw("DELETE", f"{path}?stop=true" if kind == "containers" else path)
        wire.wait(lambda: client.raw("GET", path)[0] == 404, f"{kind} are gone", step_s=LOOK_S)
        return took

    def ready() -> str:
        return str(wire.wait(lambda: docker.named(READY, runs=True), "a sandbox is ready"))

    def capsule() -> float:
        ready()
        return asked_for()

    def unprepared() -> float:
        docker.remove(ready())
        return asked_for()

    def asked_for() -> float:
        begun = time.perf_counter()
        one = {"image": IMAGE, "command": ENDS, "resources": {"requests": LIMITS}}
        spec = {"containers": [one, one]}
        template = {"kind": "capsule", "metadata": {"name": "bench"}, "spec": spec}
        asked = client.ask("POST", "/v1/capsules", {"template": template})
        return waited("capsules", str(asked["uuid"]), begun)

    def container() -> float:
        ready()
        begun = time.perf_counter()
        body = {"name": "bench", "image": IMAGE, "command": ENDS} | LIMITS
        asked = client.ask("POST", "/v1/containers?run=true", body)
        return waited("containers", str(asked["uuid"]), begun)

    asked_for()
    alternate(WARM, capsule, container, unprepared)
    mine, one, bare = alternate(ROUNDS, capsule, container, unprepared)
    yield Figure(
        name="start-capsule",
        what="POST to Running of a capsule of two containers, over one container",
        ours=_shown(mine),
        peer=f"one container: {_shown(one)}",
        value=ratio(mine, one),
        target=BUDGET,
        note=f"where no sandbox is ready, as for the first capsule of a host or a second one at "
        f"once: {_shown(bare)}, {ratio(bare, one):.2f}x",
        raw=raw(ours_s=mine.values, peer_s=one.values),
    )


class _News:
    """What Dolium tells of a project: whoever asks again and again takes a part of the machine
    from what he waits for, and most of it when two containers start side by side.
    """

    def __init__(self, client: wire.Client) -> None:
        self._lines = client.lines("/v1/events")

    def until_runs(self, uuid: str) -> None:
        """Return when it runs; fails when it can't."""
        for line in self._lines:
            told = msgspec.json.decode(line[6:]) if line.startswith(b"data: ") else {}
            if told.get("uuid") == uuid:
                assert told["status"] != "Error", told["status_reason"]
                if told["status"] == "Running":
                    return
        raise AssertionError("the events ended")


def _shown(samples: Samples) -> str:
    return f"{ms(samples.p50)} / {ms(samples.p95)} (p50/p95)"
