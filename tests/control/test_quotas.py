"""Limits hold whoever races, and whoever changes them meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dolium import conf, errors
from dolium.control.containers import Containers
from dolium.control.quotas import Quotas
from dolium.model.container import Spec
from dolium.model.context import Context
from dolium.model.quota import DEFAULT, Amounts, Limits
from dolium.store import projects, schema, upgrade
from dolium.store.sqlite import Sqlite
from dolium.store.store import Store, Tx

from .world import TickingClock, World

SOME = st.dictionaries(
    st.sampled_from(Amounts.__struct_fields__), st.integers(min_value=-1, max_value=20)
)


@given(own=SOME, default=SOME, configured=SOME, more=st.integers(1, 20))
def test_the_database_compares_with_the_limits_that_are_shown(
    own: Limits, default: Limits, configured: Limits, more: int
) -> None:
    world = World()
    limits = Amounts(**dict.fromkeys(Amounts.__struct_fields__, 7) | configured)
    quotas = Quotas(world.store, conf.Quota())
    quotas._configured = limits
    quotas.limit_class(DEFAULT, default)
    shown = quotas.limit("p1", own)
    assert shown == Amounts(
        **{
            name: own.get(name, default.get(name, getattr(limits, name)))
            for name in Amounts.__struct_fields__
        }
    )
    for name in Amounts.__struct_fields__:
        amounts, most = Amounts(**{name: more}), getattr(shown, name)
        try:
            world.store.write(partial(_reserve, amounts, limits))
        except errors.OverQuota as error:
            assert 0 <= most < more
            assert len(error.facts["resources"]) == 1
        else:
            assert most == -1 or more <= most


def _reserve(more: Amounts, limits: Amounts, tx: Tx) -> None:
    projects.reserve(tx, "p1", more, limits)


def test_racing_creations_never_pass_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "db"
    upgrade.upgrade(path)
    race([Sqlite(path) for _ in range(3)])


def race(stores: Sequence[Store]) -> None:
    """Users of one project create and delete at once, while an administrator changes limits."""
    clock, configured = TickingClock(), conf.Quota(containers=50, cpu=-1, memory=-1, disk=-1)
    administrator = Quotas(stores[0], configured)
    administrator.limit_class(DEFAULT, {"containers": 10})
    made: list[int] = []
    refused: list[int] = []

    def work(number: int) -> None:
        containers = Containers(stores[number], clock, configured, random.Random(number))
        for n in range(12):
            if number == 0 and n == 6:
                administrator.limit("p", {"containers": 12})
            context = Context(user_id="u", project_id="p", request_id=f"req-{number}-{n}")
            try:
                row = containers.create(context, None, Spec(image="cirros"), run=False)
            except errors.OverQuota:
                refused.append(number)
                continue
            made.append(number)
            if n % 3 == 0:
                containers.delete(context, row, force=True)
                made.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limits, used = administrator.used("p")
    assert limits.containers == 12
    with stores[0].read() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(schema.containers))
        there = rows.scalar_one()
    assert there == used.containers == len(made) <= 12
    assert refused, "more was asked for than may be"
    for store in stores:
        store.close()
