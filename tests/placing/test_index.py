"""Properties of placing that hold for every set of hosts and every history of changes."""

from __future__ import annotations

from collections import Counter
from random import Random
from statistics import pstdev

from hypothesis import given
from hypothesis import strategies as st

from dolium.model.placing import Amounts, Host, Request
from dolium.placing.index import Index
from dolium.placing.pick import walk
from dolium.placing.pools import MOST
from tests.perf.mix import fleet, mix

NAMES = st.sampled_from([f"h{n}" for n in range(12)])
ZONES = st.sampled_from(["east", "west"])
LABELS = st.dictionaries(st.sampled_from(["disk", "arch"]), st.sampled_from(["a", "b"]))
RUNTIMES = st.sampled_from(["runc", "runsc"])

hosts = st.builds(
    lambda name, cpu, memory, disk, used, **more: Host(
        name=name,
        total=Amounts(cpu, memory, disk),
        free=Amounts(cpu - used * cpu // 8, memory - used * memory // 8, disk),
        **more,
    ),
    NAMES,
    st.integers(0, 8000),
    st.integers(0, 4096),
    st.integers(0, 40),
    st.integers(0, 9),
    zone=ZONES,
    labels=LABELS,
    runtimes=st.lists(RUNTIMES, unique=True).map(tuple),
    disabled=st.integers(0, 5).map(lambda n: n == 0),
    up=st.integers(0, 5).map(lambda n: n > 0),
)
requests = st.builds(
    Request,
    uuid=st.just("u"),
    project_id=st.just("p"),
    cpu_m=st.integers(0, 4000),
    memory_mib=st.integers(0, 2048),
    disk_gib=st.integers(0, 20),
    zone=st.none() | ZONES,
    runtime=st.none() | RUNTIMES,
    labels=st.just({}) | LABELS,
    host=st.none() | st.none() | NAMES,
)


def fits(host: Host, free: Amounts, asked: Request) -> bool:
    """What "fits" means, said once more and without any index."""
    return (
        host.up
        and not host.disabled
        and asked.host in (None, host.name)
        and asked.zone in (None, host.zone)
        and (asked.runtime is None or asked.runtime in host.runtimes)
        and asked.labels.items() <= host.labels.items()
        and asked.cpu_m <= free.cpu_m
        and asked.memory_mib <= free.memory_mib
        and asked.disk_gib <= free.disk_gib
    )


def filled(known: list[Host], seed: int = 0) -> Index:
    index = Index(Random(seed))
    for host in known:
        index.put(host)
    return index


@given(st.lists(hosts, unique_by=lambda host: host.name), requests, st.integers(0, 99))
def test_a_host_is_found_exactly_when_one_fits(
    known: list[Host], asked: Request, seed: int
) -> None:
    fitting = {host.name for host in known if fits(host, host.free, asked)}
    picked = filled(known, seed).pick(asked)
    assert picked in fitting if fitting else picked is None


@given(st.lists(hosts, unique_by=lambda host: host.name), requests)
def test_the_explanation_agrees_with_the_decision(known: list[Host], asked: Request) -> None:
    index = filled(known)
    said = index.why(asked)
    assert ("fit" in said) == (index.pick(asked) is not None)


@given(st.lists(hosts, unique_by=lambda host: host.name), st.lists(requests, max_size=60))
def test_nothing_is_promised_twice(known: list[Host], asked: list[Request]) -> None:
    index = filled(known)
    left = {host.name: host.free for host in known}
    for each in asked:
        if (name := index.pick(each)) is None:
            continue
        index.take(name, each)
        had = left[name]
        left[name] = Amounts(
            had.cpu_m - each.cpu_m, had.memory_mib - each.memory_mib, had.disk_gib - each.disk_gib
        )
        assert min(left[name].cpu_m, left[name].memory_mib, left[name].disk_gib) >= 0
        assert index.free(name) == left[name]


changes = st.one_of(
    st.tuples(st.just("put"), hosts),
    st.tuples(st.just("drop"), NAMES),
    st.tuples(st.just("take"), NAMES, requests),
    st.tuples(st.just("back"), NAMES, requests),
    st.tuples(st.just("pick"), requests),
)


@given(st.lists(changes, max_size=80), st.lists(requests, min_size=1, max_size=5))
def test_changes_one_by_one_equal_a_fresh_index(
    history: list[tuple[str, object]], asked: list[Request]
) -> None:
    index, known = Index(Random(0)), dict[str, Host]()
    for verb, *arguments in history:
        getattr(index, verb)(*arguments)
        match verb, arguments:
            case "put", [Host() as host]:
                known[host.name] = host
            case "drop", [str() as name]:
                known.pop(name, None)
    now = {name: index.free(name) for name in known}
    assert len(index) == len(known)
    for each in asked:
        fitting = {name for name, host in known.items() if fits(host, now[name], each)}
        met = {index.pick(each) for _ in range(8)} - {None}
        assert met <= fitting
        assert bool(met) == bool(fitting)


@given(hosts, requests)
def test_giving_back_undoes_taking(host: Host, asked: Request) -> None:
    index = filled([host])
    index.take(host.name, asked)
    index.back(host.name, asked)
    assert index.free(host.name) == host.free


def test_changes_of_an_unknown_host_are_nothing() -> None:
    index = Index(Random(0))
    asked = Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1)
    index.take("gone", asked)
    index.back("gone", asked)
    index.drop("gone")
    assert len(index) == 0


@given(st.integers(0, 300), st.integers(0, 9))
def test_a_walk_meets_each_once(n: int, seed: int) -> None:
    assert sorted(step % n for step in walk(n, Random(seed))) == list(range(n))


def test_a_walk_starts_anywhere() -> None:
    rng = Random(3)
    firsts = Counter(walk(4, rng)[0] % 4 for _ in range(4000))
    assert min(firsts[n] for n in range(4)) > 800


@given(st.lists(hosts, unique_by=lambda host: host.name), st.lists(requests, max_size=30))
def test_the_same_seed_decides_the_same(known: list[Host], asked: list[Request]) -> None:
    def run() -> list[str | None]:
        index = filled(known, seed=7)
        return [index.pick(each) for each in asked]

    assert run() == run()


def test_labels_nobody_bears_do_not_fill_the_memory() -> None:
    index = filled([Host(name="a", total=Amounts(9, 9, 9), free=Amounts(9, 9, 9))])
    for n in range(MOST * 2):
        asked = Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1, labels={"x": str(n)})
        assert index.pick(asked) is None
    assert len(index._pools) == MOST


# --- how evenly it spreads -------------------------------------------------------------------


def spread(index: Index, known: list[Host]) -> float:
    return pstdev(
        max(
            1 - index.free(host.name).cpu_m / host.total.cpu_m,
            1 - index.free(host.name).memory_mib / host.total.memory_mib,
        )
        for host in known
    )


def exhaustive(index: Index, known: list[Host], asked: Request) -> str:
    """The emptiest of all that fit, at any cost."""

    def load(host: Host) -> float:
        free = index.free(host.name)
        return max(
            1 - (free.cpu_m - asked.cpu_m) / host.total.cpu_m,
            1 - (free.memory_mib - asked.memory_mib) / host.total.memory_mib,
        )

    return min((host for host in known if fits(host, host.free, asked)), key=load).name


def test_it_spreads_nearly_as_evenly_as_looking_at_every_host() -> None:
    known = fleet(200)
    asked = mix(2000, Random(5))
    ours, best = filled(known), filled(known)
    for each in asked:
        name = ours.pick(each)
        assert name is not None
        ours.take(name, each)
        best.take(exhaustive(best, known, each), each)
    assert spread(ours, known) <= 1.5 * spread(best, known)
