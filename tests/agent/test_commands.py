"""Every verb, carried out once and resumed after a crash."""

from contextlib import suppress
from typing import Any

import pytest

from dolium import errors
from dolium.model.container import State, Task, Verb
from tests.agent.stub import Bench, always

U = "c0000000-0000-4000-8000-000000000001"
OTHER = "c0000000-0000-4000-8000-000000000002"
BOX = f"dolium-{U}-1"
GONE = errors.Unanswered(what="Engine", why="silence")


class Killed(BaseException):
    """The agent dies here."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


def running(bench: Bench, **spec: Any) -> None:
    bench.control.create(U, **spec)
    bench.settle()
    assert bench.engine.boxes[BOX].state is State.RUNNING


def crash(bench: Bench, method: str, when: str) -> None:
    """Die before or after a call of the engine, and come back."""
    dead = False

    def hook(called: str, at: str) -> None:
        nonlocal dead
        if (called, at) == (method, when) and not dead:
            dead = True
            raise Killed

    bench.engine.hook = hook
    with pytest.raises(Killed):
        bench.settle()
    bench.engine.hook = None
    bench.boot()
    bench.settle()


def test_create_runs_and_reports(bench: Bench) -> None:
    number = bench.control.create(U)
    bench.settle()
    fact = bench.control.facts[U]
    assert fact.seen and fact.seen.state is State.RUNNING and fact.seen.started_at
    assert bench.control.results[number].ok
    assert bench.engine.boxes[BOX].starts == 1


def test_nothing_is_asked_of_the_engine_before_pulling(bench: Bench) -> None:
    asked: list[str] = []
    bench.engine.hook = lambda method, when: asked.append(method) if when == "before" else None
    bench.control.create(U, run=False)
    bench.core.pull()
    uuid = bench.core.agenda.take()
    assert uuid
    bench.core.step(uuid)
    assert asked == ["pull", "wire", "create", "incarnation", "look"]


def test_create_without_run_does_not_start(bench: Bench) -> None:
    bench.control.create(U, run=False)
    bench.settle()
    assert bench.engine.boxes[BOX].state is State.CREATED
    bench.control.ask(U, Verb.START)
    bench.settle()
    assert bench.engine.boxes[BOX].starts == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["pull", "wire", "create", "start"])
def test_create_resumes_after_a_crash(bench: Bench, method: str, when: str) -> None:
    number = bench.control.create(U)
    crash(bench, method, when)
    assert bench.control.results[number].ok
    assert [box.starts for box in bench.engine.boxes.values()] == [1]


def test_a_definite_failure_takes_back_what_was_made(bench: Bench) -> None:
    number = bench.control.create(U, command=["nosuch"])
    bench.settle()
    result = bench.control.results[number]
    assert not result.ok and "nosuch" in (result.message or "")
    assert not bench.engine.boxes and not bench.core.notes.life(U).made  # type: ignore[union-attr]
    assert not bench.journal.get("port", U, dict)  # type: ignore[type-var]


def test_a_missing_image_is_a_definite_failure(bench: Bench) -> None:
    number = bench.control.create(U, image="nosuch")
    bench.settle()
    assert "nosuch" in (bench.control.results[number].message or "")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["pull", "create", "start", "look"])
def test_an_unknown_outcome_heals(bench: Bench, method: str, after: bool) -> None:
    bench.engine.fail(method, GONE, times=3, after=after)
    number = bench.control.create(U)
    bench.settle()
    assert number not in bench.control.results or method == "look"
    assert bench.control.facts[U].reason == "Engine does not answer: silence"
    bench.settle(200)
    assert bench.control.results[number].ok
    assert bench.control.facts[U].reason is None
    assert bench.engine.boxes[BOX].starts == 1


def test_a_full_disk_is_told_and_waited_for(bench: Bench) -> None:
    bench.engine.fail("pull", errors.Full(what="The disk", why="0 left"), times=2)
    number = bench.control.create(U)
    bench.settle()
    assert bench.control.facts[U].reason == "The disk has no space left: 0 left"
    bench.settle(200)
    assert bench.control.results[number].ok


def test_progress_is_told(bench: Bench) -> None:
    bench.engine.fail("pull", GONE)
    bench.control.create(U)
    bench.core.pull()
    told = []
    bench.engine.hook = lambda *_: told.append(bench.core.outbox.told(U))
    bench.settle(100)
    assert {fact.task for fact in told if fact} >= {Task.PULLING, Task.STARTING}


@pytest.mark.parametrize(
    ("verb", "state"),
    [(Verb.STOP, State.EXITED), (Verb.PAUSE, State.PAUSED), (Verb.REBOOT, State.RUNNING)],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_verbs_resume(bench: Bench, verb: Verb, state: State, when: str) -> None:
    running(bench)
    bench.clock.time += 5
    number = bench.control.ask(U, verb)
    crash(bench, {"reboot": "start"}.get(verb.value, verb.value), when)
    assert bench.control.results[number].ok
    box = bench.engine.boxes[BOX]
    assert box.state is state
    assert box.starts == (2 if verb is Verb.REBOOT else 1)


def test_commands_run_in_order(bench: Bench) -> None:
    running(bench)
    for verb in (Verb.PAUSE, Verb.UNPAUSE, Verb.STOP, Verb.START, Verb.UPDATE, Verb.REBOOT):
        bench.clock.time += 1
        bench.control.ask(U, verb)
    bench.settle()
    assert bench.engine.boxes[BOX].starts == 3
    assert bench.control.facts[U].seen.state is State.RUNNING  # type: ignore[union-attr]


def test_update_gives_the_new_amounts(bench: Bench) -> None:
    running(bench)
    wish = bench.control.wishes_[U]
    bench.control.create(U, memory="64", cpu=0.5)
    changed = bench.control.wishes_.pop(U)
    bench.control.wishes_[U] = type(wish)(
        **{f: getattr(wish, f) for f in wish.__struct_fields__} | {"spec": changed.spec}
    )
    bench.control.ask(U, Verb.UPDATE)
    bench.settle()
    assert bench.engine.boxes[BOX].spec.memory == "64"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_is_sent_at_most_once(bench: Bench, when: str) -> None:
    running(bench)
    number = bench.control.ask(U, Verb.KILL, signal="SIGUSR1")
    crash(bench, "kill", when)
    result = bench.control.results[number]
    assert not result.ok and result.message == "interrupted; not repeated"
    assert bench.engine.boxes[BOX].signals == (["SIGUSR1"] if when == "after" else [])


def test_a_kill_that_shows_is_done(bench: Bench) -> None:
    running(bench)
    number = bench.control.ask(U, Verb.KILL)
    crash(bench, "kill", "after")
    assert bench.control.results[number].ok
    assert bench.control.facts[U].seen.exit_code == 137  # type: ignore[union-attr]


def test_a_signal_to_what_went_down_with_its_engine_keeps_nothing_down(bench: Bench) -> None:
    running(bench)
    bench.engine.crash(survive=False)
    bench.engine.revive()
    number = bench.control.ask(U, Verb.KILL)
    bench.engine.fail("kill", Killed())
    with suppress(Killed):
        bench.settle()
    bench.engine.heal()
    bench.boot()
    bench.settle()
    assert not bench.control.results[number].ok
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_who_kills_is_not_contradicted_by_the_restart_policy(bench: Bench) -> None:
    running(bench, restart_policy=always())
    bench.control.ask(U, Verb.KILL, signal="KILL")
    bench.settle(600)
    assert bench.engine.boxes[BOX].state is State.EXITED


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["stop", "remove"])
def test_delete_resumes_until_nothing_is_left(bench: Bench, method: str, when: str) -> None:
    running(bench)
    number = bench.control.ask(U, Verb.DELETE, stop=True, force=False, timeout=10)
    crash(bench, method, when)
    assert bench.control.results[number].ok
    assert bench.control.facts[U].gone
    left = bench.journal._db.execute("SELECT kind FROM entry").fetchall()
    assert {kind for (kind,) in left} <= {"host", "network"}
    assert not bench.engine.boxes


def test_delete_supersedes_what_is_open(bench: Bench) -> None:
    bench.engine.fail("pull", GONE, times=100)
    bench.control.create(U)
    bench.settle(60)
    number = bench.control.ask(U, Verb.DELETE, stop=False, force=True, timeout=10)
    bench.settle()
    assert bench.control.results[number].ok and bench.control.facts[U].gone


def test_delete_waits_until_the_engine_is_back(bench: Bench) -> None:
    running(bench)
    bench.engine.crash()
    number = bench.control.ask(U, Verb.DELETE, stop=True, force=False, timeout=10)
    bench.settle(100)
    assert number not in bench.control.results
    assert bench.journal._db.execute("SELECT 1 FROM entry WHERE kind = 'port'").fetchall()
    bench.engine.revive()
    bench.settle(100)
    assert bench.control.results[number].ok and not bench.engine.boxes


def test_the_look_at_everything_respects_a_back_off(bench: Bench) -> None:
    bench.engine.fail("pull", GONE, times=1000)
    bench.control.create(U)
    tries = 0
    for _ in range(120):
        tries += sum("tries again" in sentence for sentence in bench.settle(5))
        bench.core.look()
    assert 2 < tries < 80, "in ten minutes, each try waiting longer"
    bench.core.look(every=True)  # the engine is back, which may be what it takes
    assert any("tries again" in sentence for sentence in bench.settle())


def test_a_journal_that_is_full_holds_everything_and_heals(bench: Bench) -> None:
    running(bench)
    database = bench.journal._db
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages}")
    bench.control.create(OTHER, environment={"long": "x" * 100_000})
    with pytest.raises(errors.Full, match="The agent's journal has no space left"):
        bench.settle()
    with pytest.raises(errors.Full):
        bench.settle()
    assert not database.in_transaction
    database.execute("PRAGMA max_page_count=100000")
    bench.settle()
    assert bench.control.facts[OTHER].seen


def test_a_failed_container_can_be_started_again(bench: Bench) -> None:
    bench.engine.registry_answers = False
    bench.control.create(U, image="later", image_pull_policy="never")
    bench.settle()
    bench.engine.images["later:latest"] = bench.engine.images["busybox:latest"]
    number = bench.control.ask(U, Verb.START)
    bench.settle()
    assert bench.control.results[number].ok
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_results_are_kept_until_acknowledged(bench: Bench) -> None:
    number = bench.control.create(U)
    bench.core.pull()
    uuid = bench.core.agenda.take()
    assert uuid
    bench.core.step(uuid)
    bench.boot()
    bench.settle()
    assert bench.control.results[number].ok
    assert bench.engine.boxes[BOX].starts == 1
    assert bench.core.notes.results(U) == ()


def test_a_repeated_page_repeats_nothing(bench: Bench) -> None:
    running(bench)
    old = bench.control.wishes_[U]
    bench.control.ask(U, Verb.STOP)
    page = bench.core.pull()
    again = page.wishes[0]
    bench.settle()
    bench.control.wishes_[U] = again
    bench.core.notes.keep(again)
    bench.core.agenda.add(U)
    bench.settle()
    assert bench.engine.boxes[BOX].signals == ["SIGTERM"]
    assert old.generation < again.generation
    assert not bench.control.closed_twice
