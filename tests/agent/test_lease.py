"""An agent that nobody answers: what it stops, and what comes back."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.agent.lease import Lease
from dolium.drivers.engine.fake import Fake
from dolium.model.container import State
from tests.agent.stub import DEPLOYMENT, Bench, Clock, always

U = "c0000000-0000-4000-8000-000000000001"
V = "c0000000-0000-4000-8000-000000000002"
LEASE_S = 30


def box(uuid: str) -> str:
    return f"dolium-{uuid}-1"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    made.lease_s = LEASE_S
    made.boot()
    made.control.create(U, auto_heal=True)
    made.control.create(V)
    made.settle()
    return made


def states(bench: Bench) -> tuple[State, State]:
    return bench.engine.boxes[box(U)].state, bench.engine.boxes[box(V)].state


def test_a_lease_is_renewed_by_answers_only() -> None:
    clock = Clock()
    lease, never = Lease(clock, LEASE_S), Lease(clock, 0)
    clock.time += LEASE_S - 1
    assert not lease.lapsed()
    with lease.renewal():
        clock.time += 10  # a long poll counts from its beginning
    clock.time += LEASE_S - 11
    assert not lease.lapsed()
    clock.time += 1
    assert lease.lapsed()
    with pytest.raises(errors.Unanswered), lease.renewal():
        raise errors.Unanswered(what="The control side", why="test")
    with lease.renewal() as renewal:
        renewal.refused = True
    assert lease.lapsed()
    with lease.renewal():
        pass
    assert not lease.lapsed()
    clock.time += 1e6
    assert not never.lapsed()


def test_only_what_may_run_elsewhere_stops_and_it_comes_back(bench: Bench) -> None:
    assert bench.core.keep_promise() == []
    bench.clock.time += LEASE_S
    assert bench.core.keep_promise() == [U]
    assert states(bench) == (State.EXITED, State.RUNNING)
    bench.core.agenda.add(U)
    assert bench.core.agenda.take() == U
    assert bench.core.step(U) == "nothing: the lease has lapsed"
    bench.core.agenda.done(U)
    assert bench.core.keep_promise() == []
    bench.core.pull()
    bench.core.keep_promise()
    bench.settle()
    assert states(bench) == (State.RUNNING, State.RUNNING)


def test_a_pass_under_way_does_not_keep_it_alive(bench: Bench) -> None:
    bench.clock.time += LEASE_S
    bench.core.agenda.add(U)
    assert bench.core.agenda.take() == U  # a worker has it
    assert bench.core.keep_promise() == [U]
    assert states(bench)[0] is State.EXITED
    bench.core.agenda.done(U)
    bench.core.pull()
    bench.core.keep_promise()
    bench.settle()
    assert states(bench)[0] is State.RUNNING


def test_one_that_can_not_be_stopped_does_not_spare_the_others(bench: Bench) -> None:
    bench.control.create("c0000000-0000-4000-8000-000000000003", auto_heal=True)
    bench.settle()
    bench.clock.time += LEASE_S
    bench.engine.fail("stop", errors.Unanswered(what="Engine", why="test"))
    assert len(bench.core.keep_promise()) == 1
    assert len(bench.core.keep_promise()) == 1
    assert states(bench)[0] is State.EXITED


def test_a_new_run_without_an_answer_keeps_the_promise_too(bench: Bench) -> None:
    core = bench.wake()
    bench.clock.time += LEASE_S
    assert core.keep_promise() == [U]
    core.hello()
    core.pull()
    core.keep_promise()
    bench.settle()
    assert states(bench) == (State.RUNNING, State.RUNNING)


def test_nothing_is_done_between_a_hello_and_the_first_full_page() -> None:
    bench = Bench()
    bench.control.create(U, restart_policy=always())
    bench.settle()
    engine: Fake = bench.engine
    core = bench.boot()
    engine.exit(box(U))
    for event in engine.happened(DEPLOYMENT):
        core.hear(event.uuid, event.what)
    uuid = core.agenda.take()
    assert uuid == U
    assert core.step(uuid) == "not enrolled"
    core.agenda.done(uuid)
    assert core.post() == 0  # nor is anything told
    bench.settle(5)
    assert engine.boxes[box(U)].state is State.RUNNING


def test_what_is_told_anew_is_reported_again(bench: Bench) -> None:
    bench.core.look(every=True)
    bench.settle()
    before = len(bench.control.history)
    bench.core.look(every=True)
    bench.settle()
    assert len(bench.control.history) == before
    bench.control.revision += 1
    bench.control.changed[U] = bench.control.revision
    bench.settle()
    assert [fact.uuid for fact in bench.control.history[before:]] == [U]


def test_what_ended_by_itself_after_coming_back_does_not_come_back_again(bench: Bench) -> None:
    bench.clock.time += LEASE_S
    assert bench.core.keep_promise() == [U]
    bench.settle()  # answered, and passed over before the next look at the lease
    bench.core.agenda.add(U)
    bench.settle()
    assert states(bench)[0] is State.RUNNING
    bench.engine.exit(box(U))
    bench.settle()
    assert bench.core.keep_promise() == []
    bench.settle()
    assert states(bench)[0] is State.EXITED


def test_a_new_run_of_the_agent_begins_no_new_lease(bench: Bench) -> None:
    for _ in range(4):  # it is killed again and again, and nobody answers
        bench.clock.time += LEASE_S / 3
        bench.wake()
    assert bench.core.keep_promise() == [U]
    bench.core.hello()
    bench.core.pull()
    assert bench.core.keep_promise() == []
    bench.settle()
    assert states(bench) == (State.RUNNING, State.RUNNING)


def test_another_run_of_the_machine_has_nothing_to_stop(bench: Bench) -> None:
    bench.clock.time += LEASE_S
    bench.machine = "another"
    bench.wake()
    assert bench.core.keep_promise() == []
