"""In which order a host deals with the containers of a capsule, and what it does when one fails."""

from typing import Any

import msgspec
import pytest

from dolium import errors
from dolium.model.capsule import Belongs, Part
from dolium.model.container import State, Verb
from tests.agent.stub import Bench, always

CAPSULE = "c0000000-0000-4000-8000-00000000000c"
INIT = "c0000000-0000-4000-8000-000000000001"
SECOND = "c0000000-0000-4000-8000-000000000002"
ONE = "c0000000-0000-4000-8000-000000000003"
TWO = "c0000000-0000-4000-8000-000000000004"
ENDS_WELL: dict[str, Any] = {"command": ["true"]}
ENDS_BADLY: dict[str, Any] = {"command": ["false"]}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def box(uuid: str) -> str:
    return f"dolium-{uuid}-1"


def state(bench: Bench, uuid: str) -> State | None:
    found = bench.engine.boxes.get(box(uuid))
    return found.state if found else None


def wish(bench: Bench, *, sandbox: dict[str, Any] | None = None, **inits: dict[str, Any]) -> None:
    """A capsule of two containers, whose init containers come first."""
    named = {"first": INIT, "second": SECOND}
    before = [named[name] for name in inits]
    for name, spec in inits.items():
        bench.control.create(named[name], **spec)
    for uuid in (ONE, TWO):
        bench.control.create(uuid, restart_policy=always())
    bench.control.create(CAPSULE, image="", **sandbox or {})
    parts = (*before, ONE, TWO)
    for uuid in (CAPSULE, *parts):
        belongs = Belongs(
            capsule=CAPSULE,
            part=Part.SANDBOX
            if uuid == CAPSULE
            else Part.INIT
            if uuid in before
            else Part.CONTAINER,
            after=tuple(before[: before.index(uuid)] if uuid in before else before)
            if uuid != CAPSULE
            else (),
            parts=parts if uuid == CAPSULE else (),
        )
        mine = bench.control.wishes_[uuid]
        alone = {} if uuid == CAPSULE else {"ports": (), "networks": ()}
        bench.control.wishes_[uuid] = msgspec.structs.replace(mine, belongs=belongs, **alone)


def test_all_of_it_runs_on_one_network(bench: Bench) -> None:
    wish(bench)
    bench.settle()
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    assert bench.engine.boxes[box(ONE)].sandbox == bench.engine.boxes[box(CAPSULE)].handle
    assert bench.engine.boxes[box(ONE)].plugs == ()
    assert len(bench.engine.boxes[box(CAPSULE)].plugs) == 1
    assert len(bench.control.results) == 3
    assert all(result.ok for result in bench.control.results.values())


def test_init_containers_go_one_after_another(bench: Bench) -> None:
    wish(bench, first={"command": ["sleep", "5"]}, second={"command": ["sleep", "5"]})
    bench.settle()
    assert [state(bench, uuid) for uuid in (CAPSULE, INIT)] == [State.RUNNING] * 2
    assert state(bench, SECOND) is State.CREATED
    assert state(bench, ONE) is State.CREATED
    bench.clock.time += 5
    bench.settle()
    assert state(bench, SECOND) is State.RUNNING
    assert state(bench, ONE) is State.CREATED
    bench.clock.time += 5
    bench.settle()
    assert [state(bench, uuid) for uuid in (ONE, TWO)] == [State.RUNNING] * 2


def test_a_failed_init_container_lets_nothing_start(bench: Bench) -> None:
    wish(bench, first=ENDS_BADLY)
    bench.settle(60)
    assert state(bench, ONE) is None
    whys = [result.message or "" for result in bench.control.results.values() if not result.ok]
    assert len(whys) == 2
    assert all("Init container c ended with 1" in why for why in whys)


def test_an_init_container_is_tried_again_as_its_policy_says(bench: Bench) -> None:
    wish(bench, first=ENDS_BADLY | {"restart_policy": always("on-failure", "2")})
    bench.settle(2)
    assert state(bench, ONE) is State.CREATED
    bench.settle(600)
    assert bench.engine.boxes[box(INIT)].starts == 3
    assert state(bench, ONE) is None


def test_an_init_container_that_can_not_be_made_fails_the_others(bench: Bench) -> None:
    wish(bench, first={"image": "nosuch"})
    bench.settle(60)
    failed = [r.message or "" for r in bench.control.results.values() if not r.ok]
    assert len(failed) == 3
    assert sum("could not be run" in why for why in failed) == 2


def test_without_a_sandbox_nothing_is_made(bench: Bench) -> None:
    bench.engine.fail("start", errors.Refused(why="no room"))
    wish(bench)
    bench.settle(60)
    assert bench.engine.boxes == {}
    failed = [r.message or "" for r in bench.control.results.values() if not r.ok]
    assert sorted(failed) == ["The sandbox of its capsule could not be made"] * 2 + ["no room"]


def test_when_the_sandbox_ends_the_others_are_made_anew_after_it(bench: Bench) -> None:
    wish(bench)
    bench.settle()
    old = {uuid: bench.engine.boxes[box(uuid)].handle for uuid in (ONE, TWO)}
    bench.engine.exit(box(CAPSULE), 137)
    bench.settle(30)
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    for uuid in (ONE, TWO):
        assert bench.engine.boxes[box(uuid)].handle != old[uuid]
    assert bench.engine.boxes[box(CAPSULE)].starts == 2


def test_a_sandbox_that_vanished_is_made_anew_with_all_others(bench: Bench) -> None:
    wish(bench)
    bench.settle()
    bench.engine.lose(box(CAPSULE))
    bench.settle(60)
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    assert bench.engine.boxes[box(ONE)].sandbox == bench.engine.boxes[box(CAPSULE)].handle


def test_what_went_down_with_the_engine_comes_back(bench: Bench) -> None:
    wish(bench, first=ENDS_WELL)
    bench.settle(1)
    bench.engine.crash(survive=False)
    bench.engine.revive()
    bench.boot()
    bench.settle(60)
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    assert bench.engine.boxes[box(INIT)].starts == 1


def test_the_sandbox_goes_last(bench: Bench) -> None:
    wish(bench)
    bench.settle()
    for uuid in (CAPSULE, ONE, TWO):
        bench.control.ask(uuid, Verb.DELETE, stop=True)
    told = bench.settle(60)
    assert bench.engine.boxes == {}
    gone = [fact.uuid for fact in bench.control.history if fact.gone]
    assert gone.index(CAPSULE) > max(gone.index(ONE), gone.index(TWO)), told
    assert not bench.binder.ports


def test_deleted_while_an_init_container_runs(bench: Bench) -> None:
    wish(bench, first={"command": ["sleep", "1000"]})
    bench.settle()
    for uuid in (CAPSULE, ONE, TWO, INIT):
        bench.control.ask(uuid, Verb.DELETE, stop=True)
    bench.settle(60)
    assert bench.engine.boxes == {}
    assert bench.control.wishes_ == {}


@pytest.mark.parametrize("step", range(1, 40))
def test_killed_at_any_step_it_comes_out_the_same(bench: Bench, step: int) -> None:
    class Killed(BaseException):
        pass

    left = step

    def strike(method: str, when: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    wish(bench, first=ENDS_WELL)
    bench.engine.hook = strike
    for _ in range(3):
        try:
            bench.settle(5)
        except Killed:
            bench.boot()
    bench.engine.hook = None
    assert left <= 0
    bench.core.look(every=True)
    bench.settle(60)
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    assert [bench.engine.boxes[box(uuid)].starts for uuid in (CAPSULE, INIT, ONE, TWO)] == [1] * 4
    for uuid in (CAPSULE, ONE, TWO, INIT):
        bench.control.ask(uuid, Verb.DELETE, stop=True)
    bench.settle(60)
    assert bench.engine.boxes == {}
    assert not bench.binder.ports
