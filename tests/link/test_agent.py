"""The real agent on the https link with the real control side: from a wish to a running container,
whoever is started again meanwhile.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.agent.agent import Agent
from dolium.agent.core import Options
from dolium.agent.journal import Journal
from dolium.agent.measured import measured
from dolium.agent.wiring import Wiring
from dolium.control.conductor import Conductor
from dolium.control.containers import Containers
from dolium.control.lost import Lost
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.control.questions import Questions
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake, Image
from dolium.model.container import Spec
from dolium.model.context import Context
from tests.control.world import FlatNetwork
from tests.link.ends import Control, eventually
from tests.ports import free_port
from tests.tars import tar, untar

HOST = "host1"
WHO = Context(user_id="u", project_id="p", request_id="req-1", roles=("member",), is_admin=False)


class Cloud:
    """A control process with its conductor, and one host with its agent."""

    def __init__(self, folder: Path) -> None:
        self.side = side = Control(folder, port=free_port())
        rng = random.Random(1)
        networks = Networks(side.store, FlatNetwork())
        self.meter = side.store.meter
        placer = Placer(side.store, side.clock, networks, rng, meter=self.meter)
        self.containers = Containers(side.store, side.clock, conf.Quota(), rng, place=placer.follow)
        self.conductor = Conductor(
            side.store, side.clock, placer, Lost(side.store, side.clock, conf.Hosts())
        )
        limits = conf.Limits(maximum_archive=5)
        self.questions = Questions(side.link, 5.0, limits)
        self.engine, self.journal = Fake(), Journal(None)
        self.engine.images["busybox:latest"] = Image()
        self.conductor.start()
        side.enrol(HOST)
        self.join()

    def join(self) -> None:
        """Start the agent."""
        self.end = self.side.join(HOST)
        engine = measured(self.engine, self.meter)
        self.agent = Agent(
            self.end.control,
            engine,
            Wiring(self.journal, FakeBinder(), engine, "plugin", "deployment"),
            self.journal,
            self.side.clock,
            random.Random(),
            Options(host=HOST, look_s=0.5, wait_s=5.0),
            self.meter,
        )
        self.end.serve(self.agent)
        self.agent.start()
        assert self.agent.enrolled(30)

    def leave(self) -> None:
        """End the agent."""
        self.agent.stop()
        self.end.stop()

    def create(self, name: str) -> str:
        return self.containers.create(
            WHO, name, Spec(image="busybox", command=["top"]), run=True
        ).uuid

    def is_running(self, uuid: str) -> bool:
        return self.containers.find(WHO, uuid).status == "Running"

    def stop(self) -> None:
        self.leave()
        self.conductor.stop()
        self.side.stop()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.stop()


def test_a_container_runs_on_another_machine_and_can_be_asked(cloud: Cloud) -> None:
    uuid = cloud.create("c1")
    eventually(lambda: cloud.is_running(uuid))
    row = cloud.containers.find(WHO, uuid)
    assert row.host == HOST
    assert isinstance(cloud.questions.logs(WHO, row), str)
    assert cloud.questions.execute(WHO, row, "true")["exit_code"] == 0
    cloud.containers.delete(WHO, row, force=True)
    eventually(lambda: not cloud.engine.boxes)
    eventually(lambda: _gone(cloud, uuid))


def test_an_archive_of_the_largest_size_travels_both_ways(cloud: Cloud) -> None:
    uuid = cloud.create("c1")
    eventually(lambda: cloud.is_running(uuid))
    row = cloud.containers.find(WHO, uuid)
    sent = tar(("x", random.Random(1).randbytes((5 << 20) - 10240)))
    cloud.questions.put_archive(WHO, row, "/tmp", b64encode(sent).decode())
    found = cloud.questions.get_archive(WHO, row, "/tmp/x")
    assert untar(b64decode(found["data"])) == untar(sent)


def _gone(cloud: Cloud, uuid: str) -> bool:
    try:
        cloud.containers.find(WHO, uuid)
    except errors.NotFound:
        return True
    return False


def test_work_goes_on_when_either_side_starts_again(cloud: Cloud) -> None:
    port = cloud.side.end.port
    cloud.side.end.stop()
    waiting = cloud.create("c1")
    cloud.side.serve(port=port)
    eventually(lambda: cloud.is_running(waiting))
    cloud.leave()
    later = cloud.create("c2")
    cloud.join()
    eventually(lambda: cloud.is_running(later))
    assert len(cloud.engine.boxes) == 2
