"""A small cloud of real processes and engines: from a request to a remote host's engine, what an
idle agent takes, and how soon a lost host's containers run elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from tests.databases import MariaDb
from tests.live import place
from tests.live.cloud import Cloud, Host, cloud
from tests.live.installation import Owned
from tests.perf import wire
from tests.perf.figure import Figure, Samples, ms, raw
from tests.perf.plain import Docker
from tests.perf.starts import created

WARM, ROUNDS = 5, 30
PAUSE_S = 0.2
"""What the engine still does for the one before is not measured with the next."""
SETTLE_S, IDLE_S = 10.0, 60.0
LOST, ELSEWHERE_S = 16, 120.0


def measure() -> Iterable[Figure]:
    """Root, an engine and MariaDB are needed."""
    if missing := place.missing() or MariaDb.missing():
        yield Figure(
            name="remote", what="A cloud of real engines", target=0, note=f"not measured: {missing}"
        )
        return
    with cloud(MariaDb, hosts=1) as made:
        yield from _idle(made.hosts[0])
        yield from _starts(made)
        yield _healed(made)


def _starts(made: Cloud) -> Iterable[Figure]:
    docker = Docker(str(made.hosts[0].engine))
    own: list[float] = []
    took: list[float] = []
    with made.client() as client:
        owned = Owned(client)
        for number in range(WARM + ROUNDS):
            began = time.time()
            uuid = owned.create(f"bench-{number}")
            # Who looks all the time takes from the machine what he waits for.
            time.sleep(min(took, default=0.0))
            owned.until(uuid, "Running")
            took.append(time.time() - began)
            ident = docker.named(uuid)
            assert ident is not None
            own.append(created(docker.inspect(ident)) - began)
            owned.delete(uuid)
            time.sleep(PAUSE_S)
    taken = Samples(own[WARM:])
    for name, value, target in (("p50", taken.p50, 25.0), ("p95", taken.p95, 60.0)):
        yield Figure(
            name=f"remote-start-{name}",
            what=f"From POST to the engine's create call on a remote host, {name}",
            ours=f"{ms(taken.p50)} / {ms(taken.p95)} (p50/p95)",
            peer="none: a budget",
            value=value * 1000,
            target=target,
            unit="ms",
            raw=raw(ours_s=taken.values) if name == "p50" else {},
        )


def _idle(host: Host) -> Iterable[Figure]:
    time.sleep(SETTLE_S)
    used = _run_s(host)
    time.sleep(IDLE_S)
    share = 100 * (_run_s(host) - used) / IDLE_S
    resident, own = _memory(host, "Rss"), _memory(host, "Pss")
    yield Figure(
        name="agent-memory",
        what="Resident memory of an idle agent",
        ours=f"{resident:.1f} MiB ({own:.1f} MiB as its share of what it shares)",
        peer="none: a budget",
        value=resident,
        target=40,
        unit="MiB",
    )
    yield Figure(
        name="agent-cpu",
        what="CPU of an idle agent, percent of a core",
        ours=f"{share:.2f} % in {IDLE_S:g} s",
        peer="none: a budget",
        value=share,
        target=0.2,
        unit="%",
    )


def _run_s(host: Host) -> float:
    """Seconds that its threads have run."""
    tasks = (host.about / "task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _memory(host: Host, what: str) -> float:
    for line in (host.about / "smaps_rollup").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {what} in smaps_rollup")


def _healed(made: Cloud) -> Figure:
    lost = made.hosts[0]
    with made.client("admin") as client:
        owned = Owned(client)
        uuids = [owned.create(f"lost-{at}", memory="16", auto_heal=True) for at in range(LOST)]
        for uuid in uuids:
            owned.until(uuid, "Running")
        (other,) = made.grow(1)
        lost.unplug()
        lost.kill()
        begun = time.monotonic()
        made.control.said("host", "force-down", lost.name, "--proven")
        runs = _elsewhere(client, uuids, other.name, begun)
    taken = Samples(sorted(runs))
    return Figure(
        name="healed",
        what=f"From the word that a host is gone until its {LOST} auto_heal containers run "
        "elsewhere, p99",
        ours=f"{taken.p50:.1f} s / {taken.values[-1]:.1f} s (p50/last)",
        peer="none: a budget",
        value=taken.values[-1],
        target=30,
        unit="s",
        raw=raw(ours_s=taken.values),
    )


def _elsewhere(client: wire.Client, uuids: list[str], name: str, begun: float) -> list[float]:
    runs: dict[str, float] = {}
    while len(runs) < len(uuids):
        now = time.monotonic()
        if now > begun + ELSEWHERE_S:
            raise RuntimeError(f"only {len(runs)} of {len(uuids)} run elsewhere")
        listed: list[dict[str, Any]] = client.ask("GET", "/v1/containers")["containers"]
        for one in listed:
            if one["host"] == name and one["status"] == "Running":
                runs.setdefault(one["uuid"], now - begun)
        time.sleep(0.1)
    return list(runs.values())
