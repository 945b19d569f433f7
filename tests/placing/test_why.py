"""The sentence of a user whose container fits nowhere."""

from random import Random

import pytest
from msgspec.structs import replace

from dolium.model.placing import Amounts, Group, Host, Level, Request
from dolium.placing.index import Index

ROOMY = Amounts(16_000, 4096, 100)


def host(name: str, free: Amounts = ROOMY, **more: object) -> Host:
    return Host(**{"name": name, "total": ROOMY, "free": free, **more})  # type: ignore[arg-type]


def why(hosts: list[Host], **asked: object) -> str:
    index = Index(Random(1))
    for each in hosts:
        index.put(each)
    ask = {"uuid": "u", "project_id": "p", "cpu_m": 1000, "memory_mib": 512, **asked}
    return index.why(Request(**ask))  # type: ignore[arg-type]


def test_a_cloud_without_hosts() -> None:
    assert why([]) == "there are no hosts yet"


def test_counts_and_says_how_much_was_left() -> None:
    hosts = [
        host("a", disabled=True),
        host("b", Amounts(9000, 100, 9)),
        host("c", Amounts(9000, 64, 9)),
    ]
    assert why(hosts) == (
        "3 hosts: 1 is disabled, 2 lack memory (512 MiB asked, at most 100 MiB free)"
    )


@pytest.mark.parametrize(
    ("changed", "asked", "said"),
    [
        ({"up": False}, {}, "1 host: 1 does not answer"),
        ({"disabled": True}, {}, "1 host: 1 is disabled"),
        ({}, {"host": "z"}, "1 host: 1 is not z"),
        ({}, {"capsule": True}, "1 host: 1 does not take capsules"),
        ({}, {"zone": "east"}, "1 host: 1 is not in zone east"),
        (
            {"labels": {"disk": "hdd"}},
            {"labels": {"disk": "ssd"}},
            "1 host: 1 lacks label disk=ssd",
        ),
        ({"runtimes": ("runc",)}, {"runtime": "runsc"}, "1 host: 1 lacks runtime runsc"),
        ({}, {"cpu_m": 16_500}, "1 host: 1 lacks CPU (16.5 asked, at most 16 free)"),
        ({}, {"disk_gib": 101}, "1 host: 1 lacks disk (101 GiB asked, at most 100 GiB free)"),
        ({}, {}, "1 host: 1 fits"),
    ],
)
def test_each_condition_has_its_words(
    changed: dict[str, object], asked: dict[str, object], said: str
) -> None:
    assert why([host("a", **changed)], **asked) == said  # type: ignore[arg-type]


def test_room_below_zero_is_said_as_none() -> None:
    assert why([host("a", Amounts(-500, 1, 1))]).endswith("at most 0 free)")


def test_what_was_taken_since_counts() -> None:
    index = Index(Random(1))
    index.put(host("a"))
    ask = Request(uuid="u", project_id="p", cpu_m=0, memory_mib=4000)
    index.take("a", ask)
    assert "at most 96 MiB free" in index.why(ask)


def test_groups_and_dedicated_cpus_have_their_words() -> None:
    index = Index(Random(1))
    for name, rack in (("a", "r1"), ("b", "r1"), ("c", "r2")):
        index.put(host(name, rack=rack))
    index.put(host("d", Amounts(9000, 999, 9, 1), total=Amounts(16_000, 4096, 100, 4), rack="r2"))
    index.gather({1: {"a": 1}})

    def said(cpus: int = 0, **rules: Level) -> str:
        group = Group(id=1, name="web", **rules)
        return index.why(
            Request(uuid="u", project_id="p", cpu_m=1, memory_mib=1, cpus=cpus, group=group)
        )

    assert said(anti_affinity=Level.ZONE) == "4 hosts: 4 are in a zone with one of group web"
    assert said(anti_affinity=Level.NODE) == (
        "4 hosts: 1 is on a node with one of group web, 3 fit"
    )
    assert said(affinity=Level.RACK) == "4 hosts: 2 are in another rack than group web, 2 fit"
    assert said(cpus=2) == (
        "4 hosts: 3 do not give CPUs to one container alone, "
        "1 lacks dedicated CPUs (2 asked, at most 1 free)"
    )


def test_what_was_chosen_is_said() -> None:
    index = Index(Random(1))
    for name, rack in (("a", "r1"), ("b", "r2")):
        index.put(host(name, rack=rack))
    index.gather({1: {"a": 2}})
    ask = Request(uuid="u", project_id="p", cpu_m=8000, memory_mib=1)
    assert index.pick(replace(ask, avoid=frozenset("a"))) == "b"
    assert index.because("b", ask) == (
        "the emptiest of a few met by chance, of 2 hosts that meet its conditions; 50% used with it"
    )
    named = replace(ask, host="b", group=Group(id=1, name="web", soft_affinity=Level.RACK))
    assert index.because("b", named) == (
        "of group web: 2 in its region, 2 in its zone, 0 in its rack, 0 on its host, 0 on its node"
        "; a soft rule could not be kept; asked for by name; 50% used with it"
    )
