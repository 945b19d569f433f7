"""Containers become images of Glance, whoever is killed meanwhile, and nothing is left of one that
does not.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from msgspec.structs import replace

from dolium import errors
from dolium.agent.images import Images as HostImages
from dolium.agent.questions import reply
from dolium.clients.glance import Image as Record
from dolium.control.commits import FIRST_RETRY_S, OPENED_S, SAVING_S, Commits, Uploads
from dolium.drivers.engine.fake import Fake, Image
from dolium.link.base import Line
from dolium.link.local import LocalHosts
from dolium.model.commit import Stage
from dolium.model.container import State, Verb
from dolium.model.image import snapshot
from dolium.model.record import Action
from dolium.model.wish import Answer, Question
from dolium.store import commits, containers
from tests.control.glance import FakeGlance
from tests.control.world import HOST, World


class Host:
    """What a host does and answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = Fake(clock=world.clock)
        self.images = HostImages(self.engine, lambda: False)
        self.down = False

    def answer(self, question: Question) -> Answer:
        return reply(question, lambda: self.images.answer(question))

    def open(self, question: Question) -> Line:
        if self.down:
            raise errors.HostDown(host=HOST)
        return self.images.save(question)

    def make(self, uuid: str, image_id: str) -> None:
        """Its part of a commit."""
        self.engine.images[snapshot(image_id)] = Image()
        world = self.world
        seen = world.seen(uuid, State.RUNNING)
        world.post(world.fact(uuid, generation=2, seen=seen, results=(world.done(uuid),)))


class Lab:
    """A control side, a Glance and one host, with a container that runs."""

    def __init__(self) -> None:
        self.glance = FakeGlance()
        self.world = World(glance=self.glance)
        self.host = Host(self.world)
        self.link = LocalHosts()
        self.link.join(HOST, self.host)
        self.commits = Commits(self.world.store, self.world.clock, self.world.glance)
        self.uploads = self.another()
        self.uuid = self.world.running()

    def another(self) -> Uploads:
        world = self.world
        rng = random.Random(1)
        return Uploads(world.store, world.clock, self.link, self.glance, rng, lambda work: work())

    def commit(self) -> str:
        row = self.world.containers.find(self.world.who(), self.uuid)
        return self.commits.commit(self.world.who(), "p1", row, "mine", "1")

    def made(self) -> str:
        image_id = self.commit()
        self.host.make(self.uuid, image_id)
        return image_id

    def settle(self, seconds: float = 0.0) -> None:
        until = self.world.clock.time + seconds
        while self.uploads.turn() or self.world.clock.time < until:
            self.world.clock.time += max(FIRST_RETRY_S, seconds / 100)

    @property
    def left(self) -> list[str]:
        """Stages of all commits."""
        with self.world.store.read() as connection:
            return [commit.stage for commit in commits.some(connection, 100)]

    @property
    def action(self) -> Action:
        row = self.world.containers.find(self.world.who(), self.uuid)
        found = self.world.containers.actions(row)
        return next(action for action in found if action.verb == Verb.COMMIT)

    def nothing_is_left(self, image_id: str) -> None:
        assert self.left == []
        assert image_id not in self.glance.kept
        assert snapshot(image_id) not in self.host.engine.images


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_it_goes_to_glance_and_leaves_the_host(lab: Lab) -> None:
    image_id = lab.commit()
    assert lab.glance.kept[image_id].status == "queued"
    lab.settle()
    assert lab.left == [Stage.ASKED]
    lab.host.make(lab.uuid, image_id)
    assert (lab.left, lab.action.finish_time) == ([Stage.MADE], None)
    lab.settle()
    kept = lab.glance.kept[image_id]
    assert (kept.status, kept.name, kept.tags) == ("active", "mine", ("1",))
    assert lab.glance.owners[image_id] == "p1"
    assert lab.left == []
    assert snapshot(image_id) not in lab.host.engine.images
    (event,) = lab.action.events
    assert (event.event, event.result) == ("compute__do_container_commit", "Success")
    assert lab.action.finish_time and lab.action.message is None


def test_a_silent_glance_holds_nothing_up(lab: Lab) -> None:
    def silent(what: str) -> None:
        raise errors.Unanswered(what="Glance", why="connection refused")

    image_id = lab.made()
    lab.glance.fault = silent
    lab.settle(600)
    assert (lab.left, lab.action.finish_time) == ([Stage.MADE], None)
    row = lab.world.containers.find(lab.world.who(), lab.uuid)
    lab.world.containers.ask(lab.world.who(), row, Verb.STOP, {})
    assert [c.verb for c in lab.world.wish(lab.uuid).commands] == [Verb.STOP]
    lab.glance.fault = lambda what: None
    lab.settle(600)
    assert lab.glance.kept[image_id].status == "active"


@pytest.mark.parametrize("what", ["image", "write", "written"])
def test_a_conductor_that_dies_is_followed_by_another(lab: Lab, what: str) -> None:
    class Killed(BaseException):
        pass

    def die(done: str) -> None:
        if done == what:
            raise Killed

    image_id = lab.made()
    lab.glance.fault = die
    with pytest.raises(Killed):
        lab.uploads.turn()
    lab.glance.fault = lambda done: None
    if lab.glance.kept[image_id].status == "saving":  # it finds that nobody sends any more
        lab.glance.kept[image_id] = _queued(lab, image_id)
    lab.uploads = lab.another()
    lab.settle(600)
    assert lab.glance.kept[image_id].status == "active"
    assert lab.left == []


def _queued(lab: Lab, image_id: str) -> Record:
    return replace(lab.glance.kept[image_id], status="queued")


def test_two_conductors_send_it_once(lab: Lab) -> None:
    image_id, other = lab.made(), lab.another()

    def meanwhile(what: str) -> None:
        if what == "written":
            lab.glance.fault = lambda what: None
            other.turn()

    lab.glance.fault = meanwhile
    lab.settle(60)
    assert lab.glance.kept[image_id].status == "active"
    assert lab.left == []
    assert lab.action.message is None


def test_a_glance_that_was_killed_while_it_stored(lab: Lab) -> None:
    image_id = lab.made()
    lab.glance.kept[image_id] = replace(lab.glance.kept[image_id], status="saving")
    lab.settle(SAVING_S / 2)
    assert lab.left == [Stage.MADE]
    lab.settle(SAVING_S)
    assert lab.action.message == "Error"
    lab.nothing_is_left(image_id)


def test_whoever_opened_it_was_killed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    calls, write = itertools.count(), lab.world.store.write

    def once(work: Any) -> Any:
        if next(calls):
            raise Killed
        return write(work)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(lab.world.store, "write", once)
        lab.commit()
    (image_id,) = lab.glance.kept
    lab.settle(OPENED_S / 2)
    assert lab.left == [Stage.OPENED]
    lab.settle(4 * OPENED_S)
    lab.nothing_is_left(image_id)


@pytest.mark.parametrize(
    "error", [errors.Forbidden(rule="POST /v2/images"), errors.InvalidValue(why="Glance: no")]
)
def test_what_glance_refuses_is_not_begun(lab: Lab, error: errors.Error) -> None:
    def refuse(what: str) -> None:
        if what == "create":
            raise error

    lab.glance.fault = refuse
    with pytest.raises(type(error)):
        lab.commit()
    assert lab.world.wish(lab.uuid).commands == ()
    lab.settle()
    assert lab.left == []


def test_the_wrong_state_leaves_no_record(lab: Lab) -> None:
    row = lab.world.containers.find(lab.world.who(), lab.uuid)
    lab.world.containers.delete(lab.world.who(), row, force=True)
    with pytest.raises(errors.WrongState):
        lab.commits.commit(lab.world.who(), "p1", row, "mine", "1")
    lab.settle()
    assert (lab.left, lab.glance.kept) == ([], {})


def test_a_host_that_can_not_fails_it(lab: Lab) -> None:
    image_id = lab.commit()
    world = lab.world
    seen = world.seen(lab.uuid, State.RUNNING)
    result = world.done(lab.uuid, ok=False, message="no space left")
    world.post(world.fact(lab.uuid, generation=2, seen=seen, results=(result,)))
    lab.settle()
    assert lab.action.message == "Error"
    lab.nothing_is_left(image_id)


def test_a_container_that_is_deleted_before(lab: Lab) -> None:
    image_id = lab.commit()
    world = lab.world
    row = world.containers.find(world.who(), lab.uuid)
    world.containers.delete(world.who(), row, stop=True)
    lab.settle()
    assert lab.left == [Stage.ASKED], "its host may be at it"
    lab.host.engine.images[snapshot(image_id)] = Image()
    world.post(world.fact(lab.uuid, generation=3, gone=True, results=(world.done(lab.uuid),)))
    lab.settle()
    lab.nothing_is_left(image_id)


def test_a_container_that_is_deleted_after(lab: Lab) -> None:
    image_id = lab.made()
    world = lab.world
    row = world.containers.find(world.who(), lab.uuid)
    world.containers.delete(world.who(), row, stop=True)
    world.post(world.fact(lab.uuid, generation=3, gone=True, results=(world.done(lab.uuid),)))
    lab.settle()
    assert lab.glance.kept[image_id].status == "active"
    assert lab.left == []


def test_a_container_that_is_made_anew_elsewhere(lab: Lab) -> None:
    image_id = lab.commit()
    lab.host.engine.images[snapshot(image_id)] = Image()
    lab.world.store.write(lambda tx: containers.observe(tx, lab.uuid, {"host": "host2"}))
    lab.settle()
    lab.nothing_is_left(image_id)


def test_a_record_that_was_deleted(lab: Lab) -> None:
    image_id = lab.made()
    lab.glance.delete(image_id)
    lab.settle()
    assert lab.action.message == "Error"
    lab.nothing_is_left(image_id)


def test_a_full_glance(lab: Lab) -> None:
    def full(what: str) -> None:
        if what == "written":
            raise errors.OverQuota(resources=["images of Glance"])

    image_id = lab.made()
    lab.glance.fault = full
    lab.settle()
    assert "Quota exceeded" in str(lab.action.events[0].traceback)
    lab.nothing_is_left(image_id)


def test_a_host_that_is_away_is_waited_for(lab: Lab) -> None:
    image_id = lab.made()
    lab.link.leave(HOST)
    lab.settle(600)
    assert lab.left == [Stage.MADE]
    lab.link.join(HOST, lab.host)
    lab.settle(600)
    assert lab.glance.kept[image_id].status == "active"
    assert snapshot(image_id) not in lab.host.engine.images


def test_an_old_host_is_asked_for_nothing(lab: Lab) -> None:
    lab.world.inventory = replace(lab.world.inventory, verbs=(Verb.CREATE,))
    lab.world.hello("boot-2")
    with pytest.raises(errors.Conflict, match="an older Dolium"):
        lab.commit()
    lab.settle()
    assert (lab.left, lab.glance.kept) == ([], {})
