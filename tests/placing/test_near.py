"""Groups over failure domains: hard rules always hold, soft ones while they can, and it is even."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dolium.model.placing import Amounts, Group, Host, Level, Request
from dolium.placing.index import Index
from dolium.placing.near import attempts
from dolium.placing.pick import Pack, Policy, SampleOptions, Spread
from tests.perf import placing as measured
from tests.perf.mix import fleet

ROOM = Amounts(4000, 4096, 100, 4)
LEVELS = st.sampled_from(list(Level))

hosts = st.builds(
    lambda number, region, zone, rack, machine, used, pinned, **more: Host(
        name=f"h{number}",
        total=ROOM if pinned else replace(ROOM, cpus=0),
        free=Amounts(4000 - used * 1000, 4096 - used * 1024, 100, 4 - used if pinned else 0),
        region=region,
        zone=zone,
        rack=rack,
        machine=machine,
        **more,
    ),
    st.integers(0, 30),
    st.sampled_from(["east", "west"]),
    st.sampled_from(["z1", "z2"]),
    st.sampled_from(["r1", "r2", "r3"]),
    st.sampled_from(["", "", "m1", "m2"]),
    st.integers(0, 4),
    st.booleans(),
    disabled=st.integers(0, 5).map(lambda n: n == 0),
)
fleets = st.lists(hosts, unique_by=lambda host: host.name, max_size=12)
groups = st.builds(
    Group,
    id=st.integers(1, 2),
    name=st.just("g"),
    affinity=st.none() | LEVELS,
    anti_affinity=st.none() | LEVELS,
    soft_affinity=st.none() | LEVELS,
    soft_anti_affinity=st.none() | LEVELS,
)
names = st.integers(0, 30).map("h{}".format)
requests = st.builds(
    lambda cpus, **more: Request(
        uuid="u", project_id="p", cpu_m=0 if cpus else 500, memory_mib=256, cpus=cpus, **more
    ),
    st.sampled_from([0, 0, 1, 3]),
    group=st.none() | groups,
    zone=st.none() | st.sampled_from(["z1", "z2"]),
    among=st.none() | st.none() | st.frozensets(names, max_size=9),
    avoid=st.just(frozenset()) | st.frozensets(names, max_size=9),
    host=st.none() | st.none() | names,
)
policies = st.sampled_from([Spread(), Pack()])


class Ledger:
    """What is where, counted without any index."""

    def __init__(self, known: list[Host]) -> None:
        self.known = {host.name: host for host in known}
        self.free = {host.name: host.free for host in known}
        self.members: dict[int, list[str]] = {}

    def near(self, group: Group) -> list[tuple[str, ...]]:
        return [self.known[name].path for name in self.members.get(group.id, [])]

    def room(self, host: Host, asked: Request) -> bool:
        left = self.free[host.name]
        return (
            not host.disabled
            and asked.host in (None, host.name)
            and asked.zone in (None, host.zone)
            and (asked.among is None or host.name in asked.among)
            and host.name not in asked.avoid
            and asked.cpus <= left.cpus
            and asked.cpu_m + asked.cpus * 1000 <= left.cpu_m
            and asked.memory_mib <= left.memory_mib
        )

    def keeps(
        self, host: Host, group: Group, near_level: Level | None, apart: Level | None
    ) -> bool:
        mates = self.near(group)
        together = near_level is None or not mates
        together = together or any(host.path[near_level or 0] == p[near_level or 0] for p in mates)
        return together and (apart is None or all(host.path[apart] != p[apart] for p in mates))

    def feasible(self, asked: Request) -> set[str]:
        group = asked.group
        return {
            host.name
            for host in self.known.values()
            if self.room(host, asked)
            and (group is None or self.keeps(host, group, group.affinity, group.anti_affinity))
        }

    def take(self, name: str, asked: Request) -> None:
        left = self.free[name]
        self.free[name] = Amounts(
            left.cpu_m - asked.cpu_m - asked.cpus * 1000,
            left.memory_mib - asked.memory_mib,
            left.disk_gib,
            left.cpus - asked.cpus,
        )
        if asked.group:
            self.members.setdefault(asked.group.id, []).append(name)


def filled(known: list[Host], policy: Policy | None = None, seed: int = 0) -> Index:
    index = Index(Random(seed), policy)
    for host in known:
        index.put(host)
    return index


@given(fleets, st.lists(requests, max_size=30), policies, st.integers(0, 9))
def test_hard_rules_always_hold_and_nowhere_is_really_nowhere(
    known: list[Host], asked: list[Request], policy: Policy, seed: int
) -> None:
    index, ledger = filled(known, policy, seed), Ledger(known)
    for each in asked:
        feasible = ledger.feasible(each)
        picked = index.pick(each)
        assert picked in feasible if feasible else picked is None
        assert ("fit" in index.why(each)) == bool(feasible)
        if picked is not None:
            assert index.because(picked, each)
            index.take(picked, each)
            ledger.take(picked, each)
            assert index.free(picked) == ledger.free[picked]
            assert min(ledger.free[picked].cpu_m, ledger.free[picked].cpus) >= 0


@given(fleets, groups, st.integers(0, 9))
def test_soft_rules_hold_while_a_host_allows_it(known: list[Host], group: Group, seed: int) -> None:
    index, ledger = filled(known, seed=seed), Ledger(known)
    asked = Request(uuid="u", project_id="p", cpu_m=500, memory_mib=256, group=group)
    for _ in range(12):
        wanted = attempts(group)[0]
        best = {
            name
            for name in ledger.feasible(asked)
            if ledger.keeps(ledger.known[name], group, *wanted)
        }
        picked = index.pick(asked)
        assert not best or picked in best
        if picked is None:
            return
        index.take(picked, asked)
        ledger.take(picked, asked)


@given(fleets, st.integers(0, 9))
def test_each_level_gets_the_next_where_the_fewest_are_and_there_is_room(
    known: list[Host], seed: int
) -> None:
    """So that no two domains of one level differ by more than one while both have room."""
    index, ledger = filled(known, seed=seed), Ledger(known)
    group = Group(id=1, name="g")
    asked = Request(uuid="u", project_id="p", cpu_m=500, memory_mib=256, group=group)
    while (picked := index.pick(asked)) is not None:
        feasible = [ledger.known[name].path for name in ledger.feasible(asked)]
        near = Counter(domain for path in ledger.near(group) for domain in path)
        here = ledger.known[picked].path
        for level in (Level.REGION, Level.ZONE, Level.RACK):
            assert near[here[level]] == min(near[path[level]] for path in feasible)
            feasible = [path for path in feasible if path[level] == here[level]]
        if near[here[Level.RACK]]:
            assert near[here[Level.HOST]] == min(near[path[Level.HOST]] for path in feasible)
        index.take(picked, asked)
        ledger.take(picked, asked)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 40))
def test_racks_of_an_even_cloud_differ_by_one_at_most(
    zones: int, racks: int, machines: int, members: int
) -> None:
    roomy = Amounts(1_000_000, 1_000_000, 0)
    known = [
        Host(
            name=f"h{z}{r}{m}", total=roomy, free=roomy, zone=f"z{z}", rack=f"r{r}", machine=f"m{m}"
        )
        for z in range(zones)
        for r in range(racks)
        for m in range(machines)
    ]
    index = filled(known)
    paths = {host.name: host.path for host in known}
    asked = Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1, group=Group(id=1, name="g"))
    counts = Counter(dict.fromkeys((path[Level.RACK] for path in paths.values()), 0))
    for _ in range(members):
        picked = index.pick(asked)
        assert picked is not None
        index.take(picked, asked)
        counts[paths[picked][Level.RACK]] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


changes = st.one_of(
    st.tuples(st.just("put"), hosts),
    st.tuples(st.just("drop"), names),
    st.tuples(st.just("pick"), requests),
)


@given(st.lists(changes, max_size=60), requests)
def test_hosts_that_change_their_place_are_found_there(
    history: list[tuple[str, object]], asked: Request
) -> None:
    index, known = filled([]), dict[str, Host]()
    for verb, argument in history:
        if isinstance(argument, Request):  # as a first member is, so that domains are looked at
            index.gather({1: {name: 1 for name in list(known)[:1]}, 2: {}})
        getattr(index, verb)(argument)
        if isinstance(argument, Host):
            known[argument.name] = argument
        elif isinstance(argument, str):
            known.pop(argument, None)
    members = {name: 1 for name in list(known)[:2]}
    index.gather({1: members, 2: {}})
    ledger = Ledger(list(known.values()))
    ledger.members[1] = list(members)
    feasible = ledger.feasible(asked)
    picked = index.pick(asked)
    assert picked in feasible if feasible else picked is None


def test_a_host_that_moved_to_another_rack_is_looked_for_there() -> None:
    def host(name: str, rack: str) -> Host:
        return Host(name=name, total=ROOM, free=ROOM, rack=rack)

    index = filled([host("a", "r1"), host("b", "r2")])
    index.gather({1: {"a": 1}})
    group = Group(id=1, name="g", anti_affinity=Level.RACK)
    asked = Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1, group=group)
    assert index.pick(asked) == "b"
    index.put(host("b", "r1"))
    assert index.pick(asked) is None
    index.put(host("b", "r3"))
    assert index.pick(asked) == "b"
    index.drop("b")
    assert index.pick(asked) is None


def test_giving_back_a_member_undoes_taking_it() -> None:
    known = fleet(4, per_rack=1)
    index = filled(known)
    group = Group(id=1, name="g", anti_affinity=Level.REGION)
    asked = Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1, group=group)
    index.take("h0", asked)
    assert index.pick(asked) is None
    index.back("h0", asked)
    assert index.pick(asked) is not None


def test_a_dedicated_cpu_is_promised_once_whatever_the_ratio() -> None:
    host = Host(name="a", total=Amounts(64_000, 9999, 0, 4), free=Amounts(64_000, 9999, 0, 4))
    index = filled([host])
    alone = Request(uuid="u", project_id="p", cpu_m=0, cpus=3, memory_mib=1)
    assert index.pick(alone) == "a"
    assert index.needs("a", alone) == Amounts(48_000, 1, 0, 3)
    index.take("a", alone)
    assert index.pick(alone) is None
    shared = Request(uuid="u", project_id="p", cpu_m=16_000, memory_mib=1)
    assert index.pick(shared) == "a"
    assert index.pick(replace(shared, cpu_m=16_001)) is None


def test_packing_fills_one_host_before_the_next() -> None:
    index = filled(fleet(20), Pack(SampleOptions(samples=1)))
    asked = Request(uuid="u", project_id="p", cpu_m=16_000, memory_mib=1)
    for expected in ("h0",) * 4 + ("h1",) * 4 + ("h2",):
        assert index.pick(asked) == expected
        index.take(expected, asked)


@pytest.mark.parametrize("figure", [measured._evenness, measured._skew])
def test_it_is_as_even_as_promised(figure: object) -> None:
    found = figure()  # type: ignore[operator]
    assert found.met, found
