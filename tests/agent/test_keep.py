"""What happens to containers nobody asked anything about."""

from typing import Any

import pytest

from dolium import errors
from dolium.model.container import State, Verb
from dolium.model.wish import Fact
from tests.agent.stub import DEPLOYMENT, Bench, always

U = "c0000000-0000-4000-8000-000000000001"
BOX = f"dolium-{U}-1"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def running(bench: Bench, **spec: Any) -> None:
    bench.control.create(U, **spec)
    bench.settle()
    bench.clock.time += 100
    assert bench.engine.boxes[BOX].state is State.RUNNING


def state(bench: Bench) -> State:
    return bench.engine.boxes[BOX].state


def test_what_ends_by_itself_stays_stopped(bench: Bench) -> None:
    running(bench)
    bench.engine.exit(BOX, 3)
    bench.settle(600)
    assert state(bench) is State.EXITED
    bench.boot()
    bench.core.look(every=True)
    bench.settle(600)
    assert state(bench) is State.EXITED
    fact = bench.control.facts[U]
    assert fact.seen and fact.seen.exit_code == 3 and not fact.restarting


def test_what_ended_while_the_agent_was_away_stays_stopped(bench: Bench) -> None:
    running(bench)
    bench.engine.exit(BOX)
    bench.boot()
    bench.settle(600)
    assert state(bench) is State.EXITED


def test_the_restart_policy_waits_longer_each_time(bench: Bench) -> None:
    bench.control.create(U, command=["false"], restart_policy=always())
    bench.settle()
    assert bench.control.facts[U].restarting
    starts = []
    for _ in range(12):
        at = bench.core.agenda.next_at()
        assert at is not None
        starts.append(round(at - bench.clock.time))
        bench.settle(at - bench.clock.time)
    assert starts == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def told_at_starts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether users read Restarting, at each start while the engine is at it."""
    told: list[bool] = []
    start = bench.engine.start

    def slow(handle: str) -> None:
        fact = bench.core.outbox.told(U)
        told.append(fact is not None and fact.restarting)
        start(handle)

    monkeypatch.setattr(bench.engine, "start", slow)
    return told


def test_a_start_by_the_restart_policy_is_told_as_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = told_at_starts(bench, monkeypatch)
    bench.control.create(U, command=["false"], restart_policy=always("on-failure", "2"))
    bench.settle(1000)
    assert told == [False, True, True]


def test_so_is_one_after_the_engine_was_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_at_starts(bench, monkeypatch)
    running(bench)
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.core.look(every=True)
    bench.settle(60)
    bench.control.ask(U, Verb.STOP)
    bench.settle(60)
    bench.control.ask(U, Verb.START)
    bench.settle(60)
    assert told == [False, True, False]


def test_a_good_run_resets_the_wait(bench: Bench) -> None:
    bench.control.create(U, command=["sleep", "20"], restart_policy=always())
    bench.settle()
    for _ in range(5):
        bench.clock.time += 20
        bench.settle(1.5)
    assert bench.engine.boxes[BOX].starts == 6


def test_on_failure_counts(bench: Bench) -> None:
    bench.control.create(U, command=["false"], restart_policy=always("on-failure", "3"))
    bench.settle(1000)
    assert bench.engine.boxes[BOX].starts == 4
    assert not bench.control.facts[U].restarting


def test_on_failure_leaves_success_alone(bench: Bench) -> None:
    bench.control.create(U, command=["true"], restart_policy=always("on-failure"))
    bench.settle(1000)
    assert bench.engine.boxes[BOX].starts == 1


def test_a_stop_ends_the_waiting(bench: Bench) -> None:
    bench.control.create(U, command=["false"], restart_policy=always())
    bench.settle(40)
    bench.control.ask(U, Verb.STOP)
    bench.settle(1000)
    assert not bench.control.facts[U].restarting
    assert bench.control.facts[U].seen.state is State.EXITED  # type: ignore[union-attr]


def test_containers_come_back_with_their_engine(bench: Bench) -> None:
    running(bench)
    bench.engine.crash(survive=False)
    bench.settle(1)
    bench.engine.revive()
    bench.core.look(every=True)
    bench.settle(60)
    assert state(bench) is State.RUNNING and bench.engine.boxes[BOX].starts == 2


def test_containers_come_back_when_both_were_away(bench: Bench) -> None:
    running(bench)
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.boot()
    bench.settle()
    assert state(bench) is State.RUNNING


def test_a_start_whose_end_nobody_saw_goes_down_with_its_engine_too(bench: Bench) -> None:
    running(bench)
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.boot()
    bench.engine.fail("start", KeyboardInterrupt(), after=True)
    with pytest.raises(KeyboardInterrupt):
        bench.settle()
    assert state(bench) is State.RUNNING
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.boot()
    bench.settle()
    assert state(bench) is State.RUNNING


def test_an_engine_that_left_them_running_is_nothing_special(bench: Bench) -> None:
    running(bench)
    bench.engine.crash(survive=True)
    bench.engine.revive()
    bench.boot()
    bench.settle()
    bench.engine.exit(BOX)
    bench.settle(100)
    assert bench.engine.boxes[BOX].starts == 1


def test_what_was_stopped_does_not_come_back(bench: Bench) -> None:
    running(bench)
    bench.control.ask(U, Verb.STOP)
    bench.settle()
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.machine = "m2"
    bench.boot()
    bench.settle(60)
    assert state(bench) is State.EXITED


def test_a_paused_container_comes_back_paused(bench: Bench) -> None:
    running(bench)
    bench.control.ask(U, Verb.PAUSE)
    bench.settle()
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.boot()
    bench.settle(60)
    assert state(bench) is State.PAUSED


def test_a_rest_brings_back_what_ran(bench: Bench) -> None:
    running(bench)
    assert bench.core.rest() == [U]
    assert state(bench) is State.EXITED
    bench.boot()
    bench.settle()
    assert state(bench) is State.RUNNING


def test_a_vanished_container_is_told(bench: Bench) -> None:
    running(bench)
    bench.engine.lose(BOX)
    bench.settle(60)
    fact = bench.control.facts[U]
    assert fact.known and fact.seen is None and not bench.engine.boxes


@pytest.mark.parametrize("method", ["pull", "create", "start"])
def test_a_vanished_container_is_healed_when_asked_to(bench: Bench, method: str) -> None:
    running(bench, auto_heal=True)
    bench.engine.fail(method, errors.Unanswered(what="Engine", why="silence"), times=2)
    bench.engine.lose(BOX)
    bench.settle(200)
    assert state(bench) is State.RUNNING


def test_a_stopped_one_is_healed_and_not_started(bench: Bench) -> None:
    running(bench, auto_heal=True)
    bench.control.ask(U, Verb.STOP)
    bench.settle()
    bench.engine.lose(BOX)
    bench.settle(60)
    assert state(bench) is State.CREATED


def test_a_lost_journal_adopts_what_runs(bench: Bench) -> None:
    running(bench)
    bench.journal._db.execute("DELETE FROM entry WHERE kind IN ('life', 'wish')")
    bench.boot()
    bench.settle(60)
    assert bench.engine.boxes[BOX].starts == 1
    bench.control.ask(U, Verb.DELETE, stop=True)
    bench.settle(60)
    assert not bench.engine.boxes


def test_garbage_goes_only_when_it_is_gone_for_certain(bench: Bench) -> None:
    running(bench)
    wish = bench.control.wishes_.pop(U)
    bench.boot()
    for _ in range(3):
        bench.settle(60)
        bench.core.look()
    assert state(bench) is State.RUNNING
    bench.control.gone[U] = 1
    bench.core.look()
    bench.settle(60)
    assert not bench.engine.boxes
    assert wish.uuid not in bench.core.notes.lives()


def test_a_silent_engine_is_told_and_looked_at_again(bench: Bench) -> None:
    running(bench)
    bench.engine.crash()
    bench.core.agenda.add(U)
    bench.settle()
    fact = bench.control.facts[U]
    assert not fact.known and fact.reason
    bench.engine.revive()
    bench.settle(60)
    assert bench.control.facts[U].reason is None


def test_an_agent_that_is_cut_off_starts_nothing(bench: Bench) -> None:
    bench.control.boot = "another"
    bench.control.create(U)
    bench.core.pull()
    bench.core.agenda.add("x")
    bench.core.outbox.put(Fact(uuid="x", sequence=0, generation=0))
    bench.core.post()
    assert bench.core.boot == ""
    uuid = bench.core.agenda.take()
    assert uuid and bench.core.step(uuid) == "not enrolled"
    assert not bench.engine.boxes and bench.core.deployment == DEPLOYMENT


def test_nothing_is_done_before_all_wishes_were_heard(bench: Bench) -> None:
    running(bench)
    core = bench.boot()
    before = bench.engine.calls.total()
    assert core.agenda.take() is None
    core.hear(U, "die")
    core.step(U)
    assert bench.engine.calls.total() == before
    core.pull()
    assert core.agenda.take() == U


def test_an_older_page_is_not_believed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    running(bench)
    older = bench.control.wishes("h", bench.control.boot, 0, 0)
    bench.control.ask(U, Verb.STOP)
    bench.control.ask(U, Verb.START)
    bench.settle()
    monkeypatch.setattr(bench.control, "wishes", lambda *args: older)
    with pytest.raises(errors.Changed):
        bench.core.pull()
    assert not bench.core.boot
    known = bench.core.notes.wish(U)
    assert known and known.generation == 3


def test_only_containers_that_differ_are_looked_at(bench: Bench) -> None:
    running(bench)
    bench.settle()
    bench.core.look()
    assert bench.core.agenda.take() is None
    bench.engine.exit(BOX)
    bench.engine.happened(DEPLOYMENT)
    bench.core.look()
    assert bench.core.agenda.take() == U


def test_what_was_killed_does_not_come_back_with_the_engine(bench: Bench) -> None:
    running(bench, restart_policy=always())
    bench.control.ask(U, Verb.KILL)
    gone = errors.Unanswered(what="Engine", why="silence")
    bench.core.pull()
    bench.engine.hook = lambda method, when: (
        bench.engine.fail("look", gone) if (method, when) == ("kill", "after") else None
    )
    bench.settle()
    bench.engine.hook = None
    assert state(bench) is State.EXITED
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.settle(600)
    assert bench.engine.boxes[BOX].starts == 1


def test_who_survives_a_signal_comes_back_with_the_engine(bench: Bench) -> None:
    running(bench, command=["sh", "-c", "sleep inf"])
    bench.control.ask(U, Verb.KILL, signal="SIGTERM")
    bench.settle()
    assert state(bench) is State.RUNNING
    bench.clock.time += 3600
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.core.look(every=True)
    bench.settle(60)
    assert state(bench) is State.RUNNING


# --- an engine that is killed while it makes one -----------------------------------------------

UNHEARD = errors.Unanswered(what="Docker Engine", why="the connection was lost")


def test_what_may_be_half_made_is_made_anew(bench: Bench) -> None:
    bench.engine.fail("create", UNHEARD, after=True)
    bench.control.create(U)
    bench.settle()
    half = bench.engine.boxes[BOX].handle
    bench.boot()
    bench.settle(60)
    box = bench.engine.boxes[BOX]
    assert box.handle != half
    assert (box.state, box.starts, len(box.plugs)) == (State.RUNNING, 1, 1)
    assert [result.ok for result in bench.control.results.values()] == [True]


def test_the_same_of_one_that_heals(bench: Bench) -> None:
    running(bench, auto_heal=True)
    bench.engine.fail("create", UNHEARD, after=True)
    bench.engine.lose(BOX)
    bench.settle()
    half = bench.engine.boxes[BOX].handle
    bench.settle(60)
    box = bench.engine.boxes[BOX]
    assert box.handle != half
    assert (box.state, box.starts) == (State.RUNNING, 1)


def test_what_was_made_stays_until_its_start(bench: Bench) -> None:
    bench.control.create(U, run=False)
    bench.settle()
    made = bench.engine.boxes[BOX].handle
    for _ in range(2):
        bench.boot()
        bench.core.look(every=True)
        bench.settle(60)
    bench.control.ask(U, Verb.START)
    bench.settle()
    assert bench.engine.boxes[BOX].handle == made
    assert state(bench) is State.RUNNING
