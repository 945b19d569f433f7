"""Sandboxes that run before a capsule wants one."""

import pytest

from dolium import errors
from dolium.agent.ready import KEEP_S, QUIET_S
from dolium.drivers.engine.fake import Box
from dolium.model.container import State
from tests.agent.stub import DEPLOYMENT, Bench
from tests.agent.test_capsules import CAPSULE, ONE, TWO, box, state, wish
from tests.agent.test_keep import UNHEARD


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.ready = 1
    made.boot()
    return made


def idle(bench: Bench) -> list[Box]:
    """Those that wait for a capsule."""
    return [each for each in bench.engine.boxes.values() if not each.labels.uuid]


def prepare(bench: Bench) -> Box:
    """One that is ready, as after a capsule a while ago."""
    bench.core.ready.hand_over("dolium-nobody")
    bench.clock.time += QUIET_S
    bench.core.ready.step(DEPLOYMENT)
    (made,) = idle(bench)
    assert (made.state, made.plugs) == (State.RUNNING, ())
    return made


def runs(bench: Bench) -> None:
    """The capsule does, all of it in the one sandbox."""
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [State.RUNNING] * 3
    shared = bench.engine.boxes[box(CAPSULE)]
    assert len(shared.plugs) == 1
    assert [bench.engine.boxes[box(uuid)].sandbox for uuid in (ONE, TWO)] == [shared.handle] * 2
    assert [result.ok for result in bench.control.results.values()] == [True] * 3


def test_there_is_none_before_the_first_capsule(bench: Bench) -> None:
    bench.clock.time += 2 * KEEP_S
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []
    wish(bench)
    bench.settle()
    runs(bench)
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []  # not while it may be starting still
    bench.clock.time += QUIET_S
    for _ in range(3):
        bench.core.ready.step(DEPLOYMENT)
    assert len(idle(bench)) == 1


def test_a_capsule_gets_it(bench: Bench) -> None:
    made = prepare(bench)
    wish(bench)
    bench.settle()
    runs(bench)
    assert bench.engine.boxes[box(CAPSULE)] is made
    assert made.starts == 1
    assert idle(bench) == []


def test_until_then_it_is_nobodys(bench: Bench) -> None:
    made = prepare(bench)
    for _ in range(3):
        assert bench.core.look(every=True) == []
        bench.settle(60)
    assert idle(bench) == [made]
    assert bench.engine.listing(DEPLOYMENT) == []
    assert bench.engine.happened(DEPLOYMENT) == []


def test_it_is_not_kept_for_ever(bench: Bench) -> None:
    prepare(bench)
    bench.clock.time += KEEP_S - QUIET_S - 1
    bench.core.ready.step(DEPLOYMENT)
    assert len(idle(bench)) == 1
    bench.clock.time += 1
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []


def test_the_next_run_of_the_agent_removes_what_it_does_not_know(bench: Bench) -> None:
    prepare(bench)
    bench.boot().ready.step(DEPLOYMENT)
    assert idle(bench) == []


def test_what_is_not_known_goes_before_another_is_made(bench: Bench) -> None:
    bench.core.ready.hand_over("dolium-nobody")
    bench.clock.time += QUIET_S
    bench.core.ready.step(DEPLOYMENT)
    bench.core.ready.clear(DEPLOYMENT)
    bench.engine.fail("start", UNHEARD)
    with pytest.raises(errors.Unanswered):
        bench.core.ready.step(DEPLOYMENT)
    (half,) = idle(bench)
    bench.core.ready.step(DEPLOYMENT)
    (made,) = idle(bench)
    assert made is not half


def test_one_that_vanished_is_not_missed(bench: Bench) -> None:
    bench.engine.lose(prepare(bench).name)
    wish(bench)
    bench.settle()
    runs(bench)


def test_one_that_died_with_its_engine_is_started(bench: Bench) -> None:
    made = prepare(bench)
    bench.engine.exit(made.name, 255)
    wish(bench)
    bench.settle()
    runs(bench)
    assert made.starts == 2


@pytest.mark.parametrize("call", ["hand_over", "connect", "look"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_whatever_breaks_in_between_it_runs_on_its_network(
    bench: Bench, call: str, after: bool, killed: bool
) -> None:
    prepare(bench)
    wish(bench)
    bench.engine.fail(call, UNHEARD, after=after)
    bench.engine.hook = lambda method, when: asks.append((method, plugged(bench)))
    asks: list[tuple[str, bool]] = []
    bench.settle()
    if killed:
        bench.boot()
    bench.settle(60)
    runs(bench)
    bench.engine.hook = None
    shares = [on for method, on in asks if method == "start"]
    assert shares and all(shares)
    bench.core.ready.clear(DEPLOYMENT)
    assert idle(bench) == []


def plugged(bench: Bench) -> bool:
    """Whether the capsule's sandbox is on its network, if there is one."""
    shared = bench.engine.boxes.get(box(CAPSULE))
    return shared is None or bool(shared.plugs)


def test_a_refused_network_leaves_nothing(bench: Bench) -> None:
    prepare(bench)
    wish(bench)
    bench.engine.fail("connect", errors.Refused(why="no such address"))
    bench.settle(60)
    assert [state(bench, uuid) for uuid in (CAPSULE, ONE, TWO)] == [None] * 3
    assert not any(result.ok for result in bench.control.results.values())
    assert idle(bench) == []


def test_who_is_told_of_another_runtime_has_his_own(bench: Bench) -> None:
    made = prepare(bench)
    wish(bench, sandbox={"runtime": "runsc"})
    bench.settle()
    runs(bench)
    assert idle(bench) == [made]


def test_with_a_number_of_zero_there_never_is_one(bench: Bench) -> None:
    bench.ready = 0
    bench.boot()
    wish(bench)
    bench.settle()
    bench.clock.time += QUIET_S
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []


def test_it_waits_for_what_is_due(bench: Bench) -> None:
    bench.core.ready.hand_over("dolium-nobody")
    bench.clock.time += QUIET_S
    bench.core.ready.wait(60.0)  # returns at once
    bench.core.ready.close()
    bench.core.ready.step(DEPLOYMENT)
    assert idle(bench) == []
    bench.core.ready.wait(60.0)  # as does who is told to stop
