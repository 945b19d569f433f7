"""The agent as it runs in life, on fakes."""

import random
import threading
import time
from collections.abc import Iterator

import pytest

from dolium.agent.agent import Agent
from dolium.agent.core import Options
from dolium.agent.journal import Journal
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake, Image
from dolium.model.clock import SystemClock
from dolium.model.container import Verb
from tests.agent.stub import DEPLOYMENT, Stub
from tests.engines import wait

UUIDS = [f"c0000000-0000-4000-8000-0000000000{n:02}" for n in range(30)]


class Rig:
    def __init__(self) -> None:
        self.control, self.engine, self.journal = Stub(), Fake(), Journal(None)
        self.engine.images["busybox:latest"] = Image()
        self.binder = FakeBinder()
        self.agents: list[Agent] = []

    def start(self) -> Agent:
        wiring = Wiring(self.journal, self.binder, self.engine, "plugin", DEPLOYMENT)
        agent = Agent(
            self.control,
            self.engine,
            wiring,
            self.journal,
            SystemClock(),
            random.Random(),
            Options(host="h", look_s=0.5, wait_s=2, ready=1),
        )
        agent.start()
        self.agents.append(agent)
        assert agent.enrolled(20)
        return agent


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    for agent in made.agents:
        agent.stop()


def test_many_containers_live_and_go(rig: Rig) -> None:
    rig.start()
    made = [rig.control.create(uuid) for uuid in UUIDS]
    assert rig.control.wait(lambda: all(number in rig.control.results for number in made))
    assert all(box.starts == 1 for box in rig.engine.boxes.values())
    gone = [rig.control.ask(uuid, Verb.DELETE, stop=True) for uuid in UUIDS]
    assert rig.control.wait(lambda: all(number in rig.control.results for number in gone))
    assert not rig.engine.boxes and not rig.binder.ports


def test_an_exit_is_told_at_once(rig: Rig) -> None:
    rig.start()
    number = rig.control.create(UUIDS[0])
    assert rig.control.wait(lambda: number in rig.control.results)
    rig.engine.exit(f"dolium-{UUIDS[0]}-1", 7)

    def told() -> bool:
        fact = rig.control.facts[UUIDS[0]]
        return bool(fact.seen and fact.seen.exit_code == 7)

    assert rig.control.wait(told)


def test_a_sandbox_is_made_ready_and_does_not_outlive_the_agent(rig: Rig) -> None:
    agent = rig.start()
    assert rig.engine.prepared(DEPLOYMENT) == []
    agent.core.ready.hand_over("dolium-nobody")  # as for a capsule
    wait(lambda: bool(rig.engine.prepared(DEPLOYMENT)), "a sandbox is ready", 20.0)
    agent.stop()
    rig.agents.clear()
    assert rig.engine.prepared(DEPLOYMENT) == []


def test_the_way_from_the_wish_to_the_engine_is_short(rig: Rig) -> None:
    rig.start()
    arrived = threading.Event()

    def hook(method: str, when: str) -> None:
        if (method, when) == ("create", "before"):
            arrived.set()

    rig.engine.hook = hook
    took = []
    for uuid in UUIDS:
        arrived.clear()
        begun = time.perf_counter()
        number = rig.control.create(uuid, image_pull_policy="ifnotpresent")
        assert arrived.wait(20)
        took.append(time.perf_counter() - begun)
        assert rig.control.wait(lambda number=number: number in rig.control.results)
    took.sort()
    print(f"wish to create: p50 {took[len(took) // 2] * 1000:.2f} ms")
    assert took[len(took) // 2] < 0.1


def test_no_more_starts_at_once_than_places(rig: Rig) -> None:
    agent = rig.start()
    inside, most, lock = 0, 0, threading.Lock()
    create = rig.engine.create

    def slow(*args: object) -> str:
        nonlocal inside, most
        with lock:
            inside, most = inside + 1, max(most, inside + 1)
        time.sleep(0.01)
        with lock:
            inside -= 1
        return create(*args)  # type: ignore[arg-type]

    rig.engine.create = slow  # type: ignore[method-assign,assignment]
    made = [rig.control.create(uuid) for uuid in UUIDS]
    assert rig.control.wait(lambda: all(number in rig.control.results for number in made))
    assert 1 < most <= agent._places


def test_a_stop_with_rest_brings_back_what_ran(rig: Rig) -> None:
    agent = rig.start()
    number = rig.control.create(UUIDS[0])
    assert rig.control.wait(lambda: number in rig.control.results)
    box = rig.engine.boxes[f"dolium-{UUIDS[0]}-1"]
    agent.stop(rest=True)
    rig.agents.clear()
    assert not box.alive
    rig.engine._closed = False
    rig.start()
    assert rig.control.wait(lambda: box.alive) and box.starts == 2
