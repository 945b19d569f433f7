"""On a cluster of three MariaDB nodes: processes that use different ones at once, and one that
dies.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from dolium.store import upgrade
from dolium.store.schema import hosts
from dolium.store.server import Server
from tests.databases import Galera
from tests.live.crowd import Crowd, check

pytestmark = [
    pytest.mark.live,
    # PyMySQL leaves the socket of a refused connection to the collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Galera]:
    if missing := Galera.missing():
        pytest.skip(f"not installed: {missing}")
    made = Galera()
    try:
        made.start().nodes[0].make("kept")
        upgrade.upgrade(made.url("kept"))
        yield made
    finally:
        made.close()


def _node(cluster: Galera, number: int) -> Server:
    """Somebody who knows no other node."""
    return Server(cluster.url("kept", number).set(host=cluster.nodes[number].address))


def test_what_one_node_acknowledged_all_others_show(cluster: Galera) -> None:
    stores = [_node(cluster, number) for number in range(3)]
    values = {"name": "seen", "uuid": "u", "boot": "b", "epoch": 0, "zone": "z", "inventory": b""}
    totals = {f"total_{what}": 1 for what in ("cpu_m", "memory_mib", "disk_gib", "dedicated")}
    used = {f"used_{what}": 0 for what in ("cpu_m", "memory_mib", "disk_gib", "dedicated")}
    rest = {"revision": 0, "horizon": 0, "disabled": False, "created_at": 1.0, "beat": 0}
    flags = {"forced_down": False, "silent": False, "held": False, "lease_s": 0}
    stores[0].write(lambda tx: tx.run(hosts.insert(), values | totals | used | rest | flags))
    query = sa.select(hosts.c.revision).where(hosts.c.name == "seen")
    count = hosts.update().where(hosts.c.name == "seen").values(revision=hosts.c.revision + 1)
    for turn in range(60):
        stores[turn % 3].write(lambda tx: tx.run(count))
        with stores[(turn + 1) % 3].read() as connection:
            assert connection.execute(query).scalar_one() == turn + 1
    stores[0].write(lambda tx: tx.run(hosts.delete()))
    for store in stores:
        store.close()


def test_many_use_all_nodes_at_once_and_one_of_these_dies(cluster: Galera) -> None:
    first = itertools.count()
    crowd = Crowd(lambda: Server(cluster.url("kept", next(first) % 3)), each=12)

    def die() -> None:
        while not any(each.hints.count("placer") > 10 for each in crowd.stores):
            time.sleep(0.01)
        cluster.nodes[2].kill()

    crowd.play(die)
    for number in (0, 1):
        store = _node(cluster, number)
        assert check(store) > 0
        store.close()
