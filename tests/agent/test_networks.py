"""A container taken off its network and put on it again, running or resting."""

import pytest

from dolium import errors
from dolium.agent.plugin.ledger import Endpoint, Reserved
from dolium.model.container import State, Verb
from tests.agent.stub import NETWORK, Bench, port
from tests.agent.test_commands import BOX, U, crash, running


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    running(bench)
    return bench


def on(bench: Bench, name: str = BOX) -> list[str]:
    return [plug.network.uuid for plug in bench.engine.boxes[name].plugs]


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.EXITED])
def test_off_and_on(bench: Bench, state: State) -> None:
    verb = {State.PAUSED: Verb.PAUSE, State.EXITED: Verb.STOP}.get(state)
    if verb:
        bench.control.ask(U, verb)
    for attached in (False, True):
        number = bench.control.plug(U, attached=attached)
        bench.settle()
        assert bench.control.results[number].ok
        assert on(bench) == [NETWORK.uuid] * attached
        assert bench.engine.boxes[BOX].state is state


def test_who_is_on_none_starts_on_none(bench: Bench) -> None:
    bench.control.plug(U, attached=False)
    bench.control.ask(U, Verb.REBOOT)
    bench.settle()
    assert on(bench) == []
    assert bench.engine.boxes[BOX].state is State.RUNNING


def test_who_is_made_anew_is_made_on_what_it_is_on(bench: Bench) -> None:
    bench.control.plug(U, attached=False)
    bench.settle()
    bench.control.rebuild(U)
    bench.settle()
    name = f"dolium-{U}-3"
    assert on(bench, name) == []
    bench.control.plug(U, attached=True)
    bench.settle()
    (plug,) = bench.engine.boxes[name].plugs
    assert plug.port == port(U)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("attached", [False, True])
def test_it_goes_on_after_a_crash(bench: Bench, attached: bool, when: str) -> None:
    if attached:
        bench.control.plug(U, attached=False)
        bench.settle()
    number = bench.control.plug(U, attached=attached)
    crash(bench, "connect" if attached else "disconnect", when)
    assert bench.control.results[number].ok
    assert on(bench) == [NETWORK.uuid] * attached


def test_asked_for_both_at_once_the_last_counts(bench: Bench) -> None:
    bench.control.plug(U, attached=False)
    bench.control.plug(U, attached=True)
    bench.settle()
    assert on(bench) == [NETWORK.uuid]
    assert all(result.ok for result in bench.control.results.values())


def test_a_network_that_the_engine_forgot_is_made_known_again(bench: Bench) -> None:
    bench.control.plug(U, attached=False)
    bench.settle()
    bench.engine.unwire(NETWORK.uuid)
    number = bench.control.plug(U, attached=True)
    bench.settle()
    assert bench.control.results[number].ok
    assert on(bench) == [NETWORK.uuid]


def test_what_the_engine_refuses_is_told(bench: Bench) -> None:
    bench.engine.fail("disconnect", errors.Refused(why="no"))
    number = bench.control.plug(U, attached=False)
    bench.settle()
    assert bench.control.results[number].message == "no"


def test_what_is_about_to_be_rebuilt_runs_on_its_network_until_then(bench: Bench) -> None:
    bench.engine.registry_answers = False
    bench.engine.images.clear()
    bench.control.plug(U, attached=False)
    bench.control.rebuild(U)
    bench.settle(5)
    assert bench.engine.boxes[BOX].state is State.RUNNING
    reserved = bench.journal.get("port", U, Reserved)
    assert reserved and reserved.ports == (port(U),)
    bench.engine.registry_answers = True
    bench.settle(60)
    assert on(bench, f"dolium-{U}-3") == []
    reserved = bench.journal.get("port", U, Reserved)
    assert reserved and reserved.ports == ()


def test_an_endpoint_whose_end_nobody_heard_goes_with_its_port(bench: Bench) -> None:
    wiring = bench.wiring
    endpoint = Endpoint(network_uuid=NETWORK.uuid, port=port(U), container=U)
    wiring.ledger.connect("docker-id", endpoint)
    wiring.pairs.make(endpoint)
    assert bench.binder.ports
    bench.control.plug(U, attached=False)
    bench.settle()
    assert not bench.binder.ports
    assert not wiring.ledger.endpoints()
    assert not wiring.ledger.owed()


def test_the_last_network_goes_after_two_looks(bench: Bench) -> None:
    bench.core.look()
    bench.control.ask(U, Verb.DELETE, force=True)
    bench.settle()
    assert bench.binder.networks
    looks(bench, 2, seconds=2)
    assert not bench.binder.networks


def test_what_may_be_on_its_way_into_a_container_is_left_alone(bench: Bench) -> None:
    bench.core.look()
    other = port("b0000000-0000-4000-8000-000000000000")
    bench.binder.make(NETWORK, other)
    bench.binder.loosen(other.uuid)
    looks(bench, 5, seconds=2)
    assert other in bench.binder.ports.values()
    looks(bench, 2, seconds=15)
    assert other not in bench.binder.ports.values()


def looks(bench: Bench, times: int, seconds: float) -> None:
    for _ in range(times):
        bench.clock.time += seconds
        bench.core.look()
