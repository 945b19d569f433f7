"""Whole CPUs for one container alone, and what is left to the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dolium.drivers.engine.fake import Box
from dolium.model.container import State, Verb
from tests.agent.stub import Bench

CPUS = 8


def uuid(number: int) -> str:
    return f"c0000000-0000-4000-8000-{number:012x}"


def box(bench: Bench, number: int) -> Box:
    return bench.engine.boxes[f"dolium-{uuid(number)}-1"]


def create(bench: Bench, number: int, **spec: Any) -> Box:
    bench.control.create(uuid(number), **spec)
    bench.settle()
    return box(bench, number)


def alone(bench: Bench, number: int, cpus: int = 1) -> Box:
    return create(bench, number, cpu=float(cpus), cpu_policy="dedicated")


def delete(bench: Bench, number: int) -> None:
    bench.control.ask(uuid(number), Verb.DELETE, force=True)
    bench.settle(30)
    assert uuid(number) not in bench.control.wishes_


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_where_nobody_is_alone_nothing_is_pinned(bench: Bench) -> None:
    assert create(bench, 1).cpus == ()
    assert bench.engine.calls["pin"] == 0


def test_others_move_off_and_come_back(bench: Bench) -> None:
    before = create(bench, 1)
    assert alone(bench, 2, 2).cpus == (0, 1)
    after = create(bench, 3)
    assert before.cpus == after.cpus == (2, 3, 4, 5, 6, 7)
    assert before.starts == 1
    delete(bench, 2)
    assert before.cpus == after.cpus == tuple(range(CPUS))


def test_they_stay_while_it_rests_and_through_a_new_run_of_the_agent(bench: Bench) -> None:
    first, second = alone(bench, 1, 3), alone(bench, 2)
    assert (first.cpus, second.cpus) == ((0, 1, 2), (3,))
    bench.control.ask(uuid(1), Verb.STOP, timeout=1)
    bench.settle(30)
    assert first.state is State.EXITED
    bench.boot()
    assert alone(bench, 3, 2).cpus == (4, 5)
    bench.control.ask(uuid(1), Verb.START)
    bench.settle()
    assert (first.state, first.cpus) == (State.RUNNING, (0, 1, 2))


def test_a_container_made_anew_keeps_them(bench: Bench) -> None:
    alone(bench, 1)
    alone(bench, 2)
    bench.control.create(uuid(3), cpu=1.0, cpu_policy="dedicated", auto_heal=True)
    bench.settle()
    bench.engine.lose(box(bench, 3).name)
    bench.core.look(every=True)
    bench.settle(60)
    assert (box(bench, 3).state, box(bench, 3).cpus) == (State.RUNNING, (2,))


def test_whoever_lost_the_notes_asks_the_engine(bench: Bench) -> None:
    alone(bench, 1, 2)
    alone(bench, 2)
    delete(bench, 1)
    for kind in ("life", "wish"):
        bench.journal.drop(kind, uuid(2))
    bench.boot()
    bench.settle(60)
    assert box(bench, 2).cpus == (2,)
    assert alone(bench, 3, 3).cpus == (0, 1, 3)
    assert bench.engine.calls["pin"] == 3


def test_who_finds_too_few_waits_for_them(bench: Bench) -> None:
    alone(bench, 1, CPUS - 1)
    bench.control.create(uuid(2), cpu=2.0, cpu_policy="dedicated")
    bench.settle()
    assert "The set of CPUs of this host" in str(bench.control.facts[uuid(2)].reason)
    delete(bench, 1)
    bench.settle(600)
    assert (box(bench, 2).state, box(bench, 2).cpus) == (State.RUNNING, (0, 1))


class Host(RuleBasedStateMachine):
    """Containers come and go, agents die; at rest every dedicated CPU has one user."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.left = CPUS
        self.live: dict[int, int] = {}
        self.number = 0

    def _add(self, cpus: int, **spec: Any) -> None:
        self.number += 1
        self.live[self.number] = cpus
        self.left -= cpus
        create(self.bench, self.number, **spec)

    @rule()
    def share(self) -> None:
        self._add(0)

    @precondition(lambda self: self.left > 1)
    @rule(data=st.data())
    def dedicate(self, data: st.DataObject) -> None:
        cpus = data.draw(st.integers(1, self.left - 1))
        self._add(cpus, cpu=float(cpus), cpu_policy="dedicated")

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.live)))
        self.left += self.live.pop(number)
        delete(self.bench, number)

    @rule()
    def die(self) -> None:
        self.bench.boot()
        self.bench.settle()

    @invariant()
    def each_dedicated_cpu_has_one_user(self) -> None:
        boxes = {number: box(self.bench, number) for number in self.live}
        own = {number: set(boxes[number].cpus) for number, cpus in self.live.items() if cpus}
        for number, cpus in own.items():
            assert len(cpus) == self.live[number]
        for number, each in boxes.items():
            others = [cpus for other, cpus in own.items() if other != number]
            assert not (set(each.cpus) or set(range(CPUS))) & set().union(*others)


TestHost = Host.TestCase
TestHost.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
