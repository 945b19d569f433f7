"""Pages of hosts, where there is more than one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from dolium.model.host import Hello
from tests.stories.cloud import Cloud

NAMES = [f"host{number}" for number in range(1, 6)]


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    for number, name in enumerate(NAMES[1:]):
        inventory = msgspec.structs.replace(
            made.world.inventory, cpus=number % 2, zone=f"z{number}"
        )
        made.world.hosts.hello(Hello(host=name, boot="b", inventory=inventory))
    return made


def ask(cloud: Cloud, path: str) -> Any:
    reply = cloud.call("GET", path, who="root")
    assert reply.status == 200, reply.raw
    return reply.json


@pytest.mark.parametrize("query", ["", "&sort_key=cpus", "&sort_key=hostname&sort_dir=desc"])
def test_pages_are_the_list_in_pieces(cloud: Cloud, query: str) -> None:
    whole = ask(cloud, f"/v1/hosts?{query}")
    assert whole["next"] is None
    found, path = [], f"/v1/hosts?limit=2{query}"
    while path:
        page = ask(cloud, path)
        assert len(page["hosts"]) <= 2
        found += page["hosts"]
        parts = urlsplit(page["next"] or "")
        path = f"{parts.path}?{parts.query}" if page["next"] else ""
    assert found == whole["hosts"]
    assert sorted(host["hostname"] for host in found) == NAMES
    if "desc" in query:
        assert [host["hostname"] for host in found] == NAMES[::-1]


def test_every_zone_is_told_once(cloud: Cloud) -> None:
    told = ask(cloud, "/v1/availability_zones")["availability_zones"]
    assert [each["availability_zone"] for each in told] == ["nova", "z0", "z1", "z2", "z3"]


def test_a_host_tells_whether_it_pins(cloud: Cloud) -> None:
    inventory = msgspec.structs.replace(cloud.world.inventory, enable_cpu_pinning=True)
    cloud.world.hosts.hello(Hello(host="host2", boot="b", inventory=inventory))
    told = ask(cloud, "/v1/hosts")["hosts"]
    pins = {host["hostname"]: host["enable_cpu_pinning"] for host in told}
    assert pins == {name: name == "host2" for name in NAMES}
