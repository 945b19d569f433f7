"""How far one machine carries a cloud: `python -m tests.perf scale [--hosts N --containers M]`.

Real `dolium serve` processes (2 api, 2 conductor) on a real database server, and agents that only
speak the https link. For a growing number of hosts with as many containers each it measures

- the herd: every agent says hello at once and tells all it knows;
- the quiet: what a cloud costs in which nothing happens;
- the churn: containers deleted and others created, a given share of all within a minute, written
  by the same code that the API's processes run, in the process of this command;
- the cold start: all control processes are killed, wishes for every host come meanwhile, and all
  processes are started at once under all agents.

`--page FILE` writes docs/reference/scale.md.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from tests.databases import SERVERS, Database
from tests.perf import population, report
from tests.perf.agents import Report
from tests.perf.figure import Samples
from tests.perf.fleet import PROJECT, Agents, Fleet, context, fleet

CURVE = (10, 100, 1000)
SETTLE_S, QUIET_S, CHURN_S, LATE_S = 12.0, 20.0, 60.0, 20.0
"""LATE_S: what was wished in time may be done so much later, else the share was not carried."""
WRITERS = 8
SHARES = (20.0, 10.0, 5.0, 2.0)
PACE = 0.95


class Cost(Struct, frozen=True):
    """What a stretch of time took."""

    seconds: float
    statements: int
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Statements per second."""
        return self.statements / self.seconds

    def share(self, kind: str) -> float:
        """Percent of a core."""
        return 100 * self.cpu[kind] / self.seconds


class Churn(Struct, frozen=True):
    """A minute of creates and deletes."""

    asked: float
    """Percent of all containers that were to be replaced within a minute."""
    done: float
    """Percent that were."""
    replaced: int
    carried: bool
    cost: Cost
    starts: Samples
    """Seconds from a wish to the fact that it runs."""
    ends: Samples
    """Seconds from a wish to the fact that it is gone."""
    polls: int
    posts: int
    failures: int
    """Calls of agents that had to be made again."""


class Point(Struct, frozen=True):
    """One size."""

    hosts: int
    containers: int
    herd_s: float
    herd: Cost
    quiet: Cost
    churns: list[Churn]
    cold_s: float
    cold: Cost


class Stretch:
    """For `with`: measures what happens within."""

    def __init__(self, cloud: Fleet, agents: Agents) -> None:
        self._cloud, self._agents = cloud, agents

    def __enter__(self) -> Stretch:
        self._used, self._given = self._cloud.cpu(self._agents), self._cloud.statements()
        self._begun = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._begun
        given = self._cloud.statements() - self._given
        used = self._cloud.cpu(self._agents)
        self.cost = Cost(seconds, given, {k: used[k] - self._used.get(k, 0.0) for k in used})


def measure(
    hosts: int, containers: int, kind: type[Database], shares: Sequence[float], say: Say
) -> Point:
    """All of one size."""
    say(f"{hosts} hosts, {containers} containers on {kind.title}: filling the database")
    with fleet(hosts, containers, kind) as cloud:
        cloud.start()
        with cloud.agents() as agents:
            herd = _herd(cloud, agents)
            say(f"herd: {herd.seconds:.1f} s, {herd.statements} statements, {_cores(herd)}")
            time.sleep(SETTLE_S)
            with Stretch(cloud, agents) as quiet:
                time.sleep(QUIET_S)
            say(f"quiet: {quiet.cost.rate:.0f} statements/s, {_cores(quiet.cost)}")
            churns = []
            for share in shares:
                churns.append(churn(cloud, agents, containers, share))
                say(_told(churns[-1]))
                if churns[-1].carried:
                    break
            cold_s, cold = cold_start(cloud, agents)
            say(f"cold start: in sync after {cold_s:.1f} s, {_cores(cold)}")
    return Point(hosts, containers, herd.seconds, herd, quiet.cost, churns, cold_s, cold)


Say = Callable[[str], None]


def _herd(cloud: Fleet, agents: Agents) -> Cost:
    """All machines are switched on at once."""
    with Stretch(cloud, agents) as stretch:
        agents.go()
        agents.met()
    return stretch.cost


# --- churn ---------------------------------------------------------------------------------------


def churn(cloud: Fleet, agents: Agents, containers: int, share: float) -> Churn:
    """Replace so many percent of the containers within a minute, at an even pace."""
    number = max(1, int(containers * share / 100))
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    old = _running(cloud, number)
    before = agents.report()
    with cloud.client() as client, Stretch(cloud, agents) as stretch:

        def replace(at: int, uuid: str, project: str) -> None:
            who = context(project)
            ended[uuid] = time.time()
            client.delete(who, client.find(who, uuid), stop=True)
            now = time.time()
            row = client.create(who, f"churn-{at}", population.SPEC, True)
            begun[row.uuid] = now

        replaced = _paced(old, replace, CHURN_S)
    left = _wait_for(agents, begun, ended, LATE_S)
    after = agents.report()
    starts = [after.runs[u] - at for u, at in begun.items() if u in after.runs]
    ends = [after.gone[u] - at for u, at in ended.items() if u in after.gone]
    if left:
        cloud.settle()
    done = 100 * replaced / containers * 60 / stretch.cost.seconds
    return Churn(
        asked=share,
        done=done,
        replaced=replaced,
        carried=replaced >= PACE * number and not left,
        cost=stretch.cost,
        starts=Samples(starts or [float("inf")]),
        ends=Samples(ends or [float("inf")]),
        polls=after.polls - before.polls,
        posts=after.posts - before.posts,
        failures=after.failures - before.failures,
    )


def _running(cloud: Fleet, number: int) -> list[tuple[str, str]]:
    """Some containers with their projects, in no order."""
    with cloud.store.glance() as connection:
        rows = connection.exec_driver_sql(
            "SELECT uuid, project_id FROM containers WHERE wanted = 'running'"
        )
        found = sorted((row[0], row[1]) for row in rows)
    if not found:
        raise RuntimeError("nothing runs that could be replaced")
    random.Random(1).shuffle(found)
    return found[:number]


def _paced(
    old: Sequence[tuple[str, str]], replace: Callable[[int, str, str], None], seconds: float
) -> int:
    """Several at once, each when it is due; returns how many until the time was up."""
    todo: queue.SimpleQueue[tuple[int, str, str] | None] = queue.SimpleQueue()
    for at, (uuid, project) in enumerate(old):
        todo.put((at, uuid, project))
    begin, done = time.monotonic(), []

    def work() -> None:
        while not todo.empty():
            at, uuid, project = todo.get()  # type: ignore[misc]
            due = begin + at * seconds / len(old)
            time.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() > begin + seconds:
                return
            replace(at, uuid, project)
            done.append(at)

    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    return len(done)


def _wait_for(
    agents: Agents, begun: dict[str, float], ended: dict[str, float], seconds: float
) -> int:
    """Until all are told of, or the time is up; returns how many are not."""
    deadline = time.monotonic() + seconds
    while True:
        told: Report = agents.report()
        left = len(begun.keys() - told.runs.keys()) + len(ended.keys() - told.gone.keys())
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


# --- cold start ----------------------------------------------------------------------------------


def cold_start(cloud: Fleet, agents: Agents, down_s: float = 15.0) -> tuple[float, Cost]:
    """From the start of all control processes until nothing is left to do."""
    for process in cloud.control:
        process.kill()
    begun = time.monotonic()
    with cloud.client() as client:
        for uuid, project in one_of_each_host(cloud):
            who = context(project)
            client.delete(who, client.find(who, uuid), stop=True)
            client.create(who, None, population.SPEC, True)
    time.sleep(max(0.0, begun + down_s - time.monotonic()))
    before, given = cloud.cpu_of_others(agents), cloud.statements()
    begun = time.monotonic()
    for process in cloud.control:
        process.start()
    cloud.settle()
    took = time.monotonic() - begun
    used = cloud.cpu(agents)
    cpu = {kind: used[kind] - before.get(kind, 0.0) for kind in used}
    return took, Cost(took, cloud.statements() - given, cpu)


def one_of_each_host(cloud: Fleet) -> list[tuple[str, str]]:
    """A container with its project."""
    with cloud.store.glance() as connection:
        rows = connection.exec_driver_sql(
            "SELECT uuid, project_id FROM containers WHERE id IN "
            "(SELECT max(id) FROM containers WHERE wanted = 'running' GROUP BY host)"
        )
        return [(row[0], row[1]) for row in rows]


# --- telling -------------------------------------------------------------------------------------


def _cores(cost: Cost) -> str:
    return ", ".join(f"{kind} {cost.share(kind):.0f}%" for kind in sorted(cost.cpu)) + " of a core"


def _told(one: Churn) -> str:
    return (
        f"churn {one.done:.1f} of {one.asked:g} %/min{'' if one.carried else ' (not carried)'}: "
        f"{one.replaced} replaced, {one.cost.rate:.0f} statements/s, "
        f"{one.cost.statements / max(1, one.replaced):.1f} per container, {_cores(one.cost)}, "
        f"runs after {_time(one.starts)}, gone after {_time(one.ends)}, "
        f"{one.polls} polls, {one.posts} posts, {one.failures} failed"
    )


def _time(samples: Samples) -> str:
    return f"{samples.p50 * 1000:,.0f} / {samples.p95 * 1000:,.0f} ms"


INTRODUCTION = """\
# Scale

One machine carries all of it: the database server, two `dolium serve --role api` and two
`--role conductor`, the program that writes wishes (the code that API processes run for a request,
in a process of its own) and one process of agents. The agents are not real: what they are told to
run runs at once. All else is: TLS with a certificate for each, a poll that waits and posts beside
it, by the client code of the real agent. So the figures are what the control side costs, and what
it adds to the time that an engine needs; on machines of their own the parts have more room than
here, where they share the cores.

A share of a cloud is *carried* when at least 95 % of it was written in the minute and every fact
about it 20 s later. CPU is percent of one core, of all processes of a kind together. "Runs after"
and "gone after" are p50 / p95 from the wish's write to the fact's.
"""

HEAD = (
    *("hosts", "containers", "statements/s", "per container", "database", "api", "conductor"),
    *("agents", "writer", "runs after", "gone after"),
)


def page(points: Sequence[Point], kind: type[Database], command: str) -> str:
    """docs/reference/scale.md."""
    about = report.surroundings(os.getloadavg()[2])
    lines = [
        INTRODUCTION,
        f"Made by `{command}` on {about['date']} at commit {about['commit']}: {about['machine']}, "
        f"load {about['load before']} (of 15 minutes, with this run's), Python {about['python']}, "
        f"{kind.title}.",
        "",
        "## Churn",
        "",
        _row(*HEAD[:2], "replaced/min", *HEAD[2:]),
        _rule(len(HEAD) + 1),
    ]
    for point in points:
        for one in point.churns:
            mark = "" if one.carried else " (not carried)"
            lines.append(
                _row(
                    *(f"{point.hosts:,}", f"{point.containers:,}"),
                    f"{one.done:.1f} % of {one.asked:g} %{mark}",
                    f"{one.cost.rate:,.0f}",
                    f"{one.cost.statements / max(1, one.replaced):.0f}",
                    *_shares(one.cost),
                    _time(one.starts),
                    _time(one.ends),
                )
            )
    lines += ["", "## Nothing happens", "", _row(*HEAD[:3], *HEAD[4:-2]), _rule(len(HEAD) - 3)]
    for point in points:
        cells = (f"{point.hosts:,}", f"{point.containers:,}", f"{point.quiet.rate:,.0f}")
        lines.append(_row(*cells, *_shares(point.quiet)))
    lines += [
        "",
        "## Herds",
        "",
        "*Power comes back*: every agent says hello, pulls everything and tells of each container.",
        "*Cold start*: all control processes are started at once under agents that live and found",
        "nobody for 15 s, while a container of each host was deleted and another created; until",
        "every wish is carried out.",
        "",
        _row(*HEAD[:2], "power comes back", "statements", "cold start", "statements"),
        _rule(6),
    ]
    lines += [
        _row(
            *(f"{point.hosts:,}", f"{point.containers:,}"),
            *(f"{point.herd_s:.1f} s", f"{point.herd.statements:,}"),
            *(f"{point.cold_s:.1f} s", f"{point.cold.statements:,}"),
        )
        for point in points
    ]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(number: int) -> str:
    return "|" + "---|" * number


def _shares(cost: Cost) -> list[str]:
    kinds = ("database", "api", "conductor", "agents", "writer")
    return [f"{cost.share(kind):.1f} %" for kind in kinds]


BELOW = "<!-- Written by hand from here on. -->\n"
"""What follows stays when the page is written anew."""


def write(path: Path, text: str) -> None:
    """Replace what was measured."""
    known = path.read_text() if path.exists() else ""
    _, mark, rest = known.partition(BELOW)
    path.write_text(f"{text}\n{BELOW}{rest}" if mark else text)


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = _options(arguments)
    kinds = {kind.name: kind for kind in SERVERS}
    kind = kinds[options.database]
    if missing := kind.missing():
        sys.stderr.write(f"not installed: {missing}\n")
        return 1
    sizes = [options.hosts] if options.hosts else CURVE
    each = options.containers // max(sizes)

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    points = [measure(size, size * each, kind, options.churn, say) for size in sizes]
    if options.page:
        command = " ".join(["python -m tests.perf scale", *arguments])
        write(options.page, page(points, kind, command))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = ", ".join(map(str, CURVE))
    parser.add_argument("--hosts", type=int, help=f"only so many (default: {sizes})")
    parser.add_argument(
        "--containers", type=int, default=100_000, help="on the most hosts; fewer have their share"
    )
    parser.add_argument(
        "--churn",
        type=float,
        nargs="+",
        default=SHARES,
        help="percent to be replaced in a minute; the next one is tried when one is not carried",
    )
    parser.add_argument("--database", choices=[kind.name for kind in SERVERS], default="mariadb")
    parser.add_argument("--page", type=Path, help="write the reference page there")
    options = parser.parse_args(arguments)
    if options.containers % PROJECT:
        parser.error(f"--containers has to be a multiple of {PROJECT}")
    return options
