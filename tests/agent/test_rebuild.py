"""A container replaced by one made anew, whatever happens meanwhile."""

import pytest

from dolium import errors
from dolium.agent.notes import Life
from dolium.drivers.engine.fake import Image
from dolium.model.container import State, Verb
from tests.agent.stub import Bench, always
from tests.agent.test_commands import BOX, U, crash, running

NEW = f"dolium-{U}-2"


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    running(bench)
    bench.engine.registry["httpd:latest"] = Image(command=("httpd",))
    return bench


def alone(bench: Bench, state: State, name: str = NEW) -> None:
    """It is the only one, and the control side knows."""
    assert {each: box.state for each, box in bench.engine.boxes.items()} == {name: state}
    fact = bench.control.facts[U]
    assert fact.seen and (fact.seen.state, fact.seen.handle) == (
        state,
        bench.engine.boxes[name].handle,
    )


def test_it_runs_again_on_its_port_from_the_other_image(bench: Bench) -> None:
    plugs = bench.engine.boxes[BOX].plugs
    number = bench.control.rebuild(U, image="httpd")
    bench.settle()
    assert bench.control.results[number].ok
    alone(bench, State.RUNNING)
    box = bench.engine.boxes[NEW]
    assert (box.starts, box.spec.image) == (1, "httpd")
    assert [plug.port for plug in box.plugs] == [plug.port for plug in plugs]
    bench.control.ask(U, Verb.STOP)
    bench.settle()
    alone(bench, State.EXITED)


def test_what_did_not_run_is_made_and_not_started(bench: Bench) -> None:
    bench.control.ask(U, Verb.STOP)
    bench.control.rebuild(U, run=False)
    bench.settle(60)
    alone(bench, State.CREATED, f"dolium-{U}-3")


def test_a_restart_policy_owes_nothing_to_what_is_not_to_run() -> None:
    bench = Bench()
    running(bench, restart_policy=always())
    bench.control.rebuild(U, run=False)
    bench.settle(60)
    alone(bench, State.CREATED)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["pull", "stop", "remove", "create", "start"])
def test_it_goes_on_after_a_crash(bench: Bench, method: str, when: str) -> None:
    number = bench.control.rebuild(U)
    crash(bench, method, when)
    assert bench.control.results[number].ok
    assert bench.control.closed_twice == []
    alone(bench, State.RUNNING)
    assert bench.engine.boxes[NEW].starts == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["stop", "remove", "create", "start"])
def test_an_unknown_outcome_heals(bench: Bench, method: str, when: str) -> None:
    gone = errors.Unanswered(what="Engine", why="silence")
    bench.engine.fail(method, gone, after=when == "after")
    number = bench.control.rebuild(U)
    bench.settle(60)
    assert bench.control.results[number].ok
    alone(bench, State.RUNNING)


def test_while_the_registry_is_silent_the_old_one_runs(bench: Bench) -> None:
    bench.engine.registry_answers = False
    number = bench.control.rebuild(U, image="httpd")
    bench.settle(5)
    assert number not in bench.control.results
    assert bench.engine.boxes[BOX].state is State.RUNNING
    bench.engine.registry_answers = True
    bench.settle(60)
    alone(bench, State.RUNNING)


def test_a_definite_failure_leaves_nothing(bench: Bench) -> None:
    number = bench.control.rebuild(U, image="nosuch")
    bench.settle()
    result = bench.control.results[number]
    assert not result.ok
    assert "nosuch could not be found" in str(result.message)
    assert bench.engine.boxes == {}
    assert bench.journal.all("port", Life) == {}
    assert not bench.binder.ports
    number = bench.control.rebuild(U, run=False)
    bench.settle()
    assert bench.control.results[number].ok
    alone(bench, State.CREATED, f"dolium-{U}-3")


def test_a_journal_that_was_lost_does_not_keep_the_old_one(bench: Bench) -> None:
    for kind in ("wish", "life", "result"):
        bench.journal.drop(kind, U)
    bench.control.rebuild(U)
    bench.boot()
    bench.settle()
    alone(bench, State.RUNNING)


def test_without_a_lease_the_old_one_stops_too() -> None:
    bench = Bench()
    bench.lease_s = 30
    bench.boot()
    running(bench, auto_heal=True)
    bench.engine.registry_answers = False
    bench.control.rebuild(U, image="httpd")
    bench.settle(5)
    assert bench.engine.boxes[BOX].state is State.RUNNING
    bench.clock.time += 60
    assert bench.core.keep_promise() == [U]
    assert bench.engine.boxes[BOX].state is State.EXITED


def test_resting_stops_the_old_one_too(bench: Bench) -> None:
    bench.engine.registry_answers = False
    bench.control.rebuild(U, image="httpd")
    bench.settle(5)
    assert bench.core.rest() == [U]
    assert bench.engine.boxes[BOX].state is State.EXITED


def test_it_is_deleted_in_the_midst_of_it(bench: Bench) -> None:
    bench.engine.registry_answers = False
    bench.control.rebuild(U, image="httpd")
    bench.settle(5)
    bench.control.ask(U, Verb.DELETE, stop=True)
    bench.settle(60)
    assert bench.engine.boxes == {}
    assert U in bench.control.gone


def test_the_look_at_everything_respects_its_back_off(bench: Bench) -> None:
    bench.engine.registry_answers = False
    bench.control.rebuild(U, image="httpd")
    bench.settle()
    pulls = bench.engine.calls["pull"]
    for _ in range(3):
        bench.core.look()
        bench.settle()
    assert bench.engine.calls["pull"] == pulls
