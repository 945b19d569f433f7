"""Images on hosts: asked for until they are there, whoever is killed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from dolium import errors
from dolium.agent.images import Images as HostImages
from dolium.agent.questions import reply
from dolium.control.images import Fetcher, Images
from dolium.drivers.engine.base import Labels
from dolium.drivers.engine.fake import Fake, Image
from dolium.link.base import Line
from dolium.link.local import LocalHosts
from dolium.model import record
from dolium.model.container import Spec
from dolium.model.image import is_name, parts
from dolium.model.wish import Answer, Question

from .world import HOST, World

NAME = "team/app:1"


class Host:
    """What a host answers; pulls go on when they are told to."""

    def __init__(self, engine: Fake) -> None:
        self.engine = engine
        self.asked: list[str] = []
        self.pulls: list[Callable[[], None]] = []
        self.boot()

    def boot(self) -> None:
        """A new run of the agent: nothing of the old one goes on."""
        self.pulls.clear()
        self.images = HostImages(self.engine, lambda: False, self.pulls.append)

    def go_on(self) -> None:
        for pull in self.pulls:
            pull()
        self.pulls.clear()

    def answer(self, question: Question) -> Answer:
        self.asked.append(question.what)
        return reply(question, lambda: self.images.answer(question))

    def open(self, question: Question) -> Line:
        raise errors.NotOffered(driver="This host", what="consoles")


class Lab:
    """A control side and one host."""

    def __init__(self) -> None:
        self.world = World()
        self.engine = Fake(clock=self.world.clock)
        self.engine.registry[NAME] = Image()
        self.host = Host(self.engine)
        self.link = LocalHosts()
        self.link.join(HOST, self.host)
        self.images = Images(self.world.store, self.world.clock, self.link)
        self.fetcher = self.another()

    def another(self) -> Fetcher:
        return Fetcher(self.world.store, self.world.clock, self.link, random.Random(1))

    def pull(self, name: str = NAME) -> str:
        return self.images.pull(self.world.who(admin=True), HOST, name).uuid

    def shown(self, uuid: str) -> tuple[str, str | None, str | None]:
        image = self.images.find(uuid)
        return image.stage, image.image_id, image.reason


def test_it_is_asked_for_until_it_is_there_and_never_again() -> None:
    lab = Lab()
    uuid = lab.pull()
    assert lab.fetcher.turn() == 1
    assert lab.fetcher.turn() == 1
    assert lab.shown(uuid) == ("pulling", None, None)
    lab.host.go_on()
    lab.fetcher.turn()
    assert lab.shown(uuid) == ("present", f"sha256:{NAME}", None)
    assert lab.fetcher.turn() == 0
    assert lab.host.asked == ["pull_image"] * 3
    assert lab.engine.calls["pull"] == 1


def test_an_agent_that_was_killed_is_asked_to_begin_again() -> None:
    lab = Lab()
    uuid = lab.pull()
    lab.fetcher.turn()
    lab.host.boot()
    lab.fetcher.turn()
    lab.host.go_on()
    lab.fetcher.turn()
    assert lab.shown(uuid)[0] == "present"


def test_a_conductor_that_was_killed_is_followed_by_another() -> None:
    lab = Lab()
    uuid = lab.pull()
    lab.fetcher.turn()
    lab.host.go_on()
    assert lab.another().turn() == 1
    assert lab.shown(uuid)[0] == "present"


def test_two_conductors_harm_nothing() -> None:
    lab = Lab()
    uuid, fetchers = lab.pull(), [lab.fetcher, lab.another()]
    for _ in range(3):
        for fetcher in fetchers:
            fetcher.turn()
        lab.host.go_on()
    assert lab.shown(uuid)[0] == "present"
    lab.images.delete(lab.images.find(uuid))
    for fetcher in fetchers:
        fetcher.turn()
    with pytest.raises(errors.NotFound):
        lab.images.find(uuid)
    assert NAME not in lab.engine.images


def test_a_host_that_is_away_is_asked_ever_more_rarely() -> None:
    lab = Lab()
    lab.link.leave(HOST)
    uuid, other = lab.pull(), lab.pull("team/other")
    for _ in range(600):
        lab.world.clock.time += 1
        lab.fetcher.turn()
    assert lab.shown(uuid)[0] == "pulling"
    lab.link.join(HOST, lab.host)
    assert lab.host.asked == []
    for _ in range(300):
        lab.world.clock.time += 1
        lab.fetcher.turn()
        lab.host.go_on()
    assert lab.shown(uuid)[0] == "present"
    assert lab.shown(other)[0] == "failed"


def test_a_registry_that_is_away_is_tried_again() -> None:
    lab = Lab()
    lab.engine.registry_answers = False
    uuid = lab.pull()
    for _ in range(10):
        lab.world.clock.time += 10
        lab.fetcher.turn()
        lab.host.go_on()
    assert lab.shown(uuid)[0] == "pulling"
    lab.engine.registry_answers = True
    for _ in range(100):
        lab.world.clock.time += 10
        lab.fetcher.turn()
        lab.host.go_on()
    assert lab.shown(uuid)[0] == "present"


def test_a_pull_that_is_not_wanted_any_more_is_given_up_and_removed() -> None:
    lab = Lab()
    uuid = lab.pull()
    lab.fetcher.turn()
    lab.images.delete(lab.images.find(uuid))
    lab.fetcher.turn()
    assert lab.shown(uuid)[0] == "removing"
    lab.host.go_on()
    lab.fetcher.turn()
    with pytest.raises(errors.NotFound):
        lab.images.find(uuid)
    assert NAME not in lab.engine.images


def test_what_a_container_is_made_of_stays() -> None:
    lab = Lab()
    uuid = lab.pull()
    lab.fetcher.turn()
    lab.host.go_on()
    lab.fetcher.turn()
    labels = Labels(deployment="d", uuid="u", generation=1)
    box = lab.engine.create("box", Spec(image=NAME), (), labels)
    lab.images.delete(lab.images.find(uuid))
    lab.fetcher.turn()
    stage, _, reason = lab.shown(uuid)
    assert (stage, reason) == ("failed", f"Image {NAME} is in use by a container")
    lab.engine.remove(box)
    lab.images.delete(lab.images.find(uuid))
    lab.fetcher.turn()
    assert lab.images.list(record.Query()) == []


def test_an_older_agent_is_asked_again_when_it_may_be_newer() -> None:
    lab = Lab()
    uuid = lab.pull()
    older = Answer(code=errors.Absent.code, facts={"what": f"Container {uuid}"})
    lab.host.answer = lambda question: older  # type: ignore[method-assign]
    lab.fetcher.turn()
    assert lab.shown(uuid) == ("pulling", None, None)


def test_an_older_agent_can_not_search() -> None:
    lab = Lab()
    older = Answer(code=errors.Absent.code, facts={"what": "Container"})
    lab.host.answer = lambda question: older  # type: ignore[method-assign]
    with pytest.raises(errors.NoHost, match="too old"):
        lab.images.search("app", exact=False)


def test_images_go_with_their_host() -> None:
    lab = Lab()
    lab.pull()
    lab.world.services.delete(HOST)
    assert lab.images.list(record.Query()) == []


def test_searching_goes_to_a_host_that_answers() -> None:
    lab = Lab()
    assert [each.name for each in lab.images.search("app", exact=False)] == ["team/app"]
    lab.engine.registry_answers = False
    with pytest.raises(errors.Unanswered):
        lab.images.search("app", exact=False)
    lab.link.leave(HOST)
    with pytest.raises(errors.HostDown):
        lab.images.search("app", exact=False)
    lab.world.services.force_down(HOST, down=True)
    with pytest.raises(errors.NoHost):
        lab.images.search("app", exact=False)


@pytest.mark.parametrize(
    ("name", "repo", "tag"),
    [
        ("cirros", "cirros", "latest"),
        ("team/app:1", "team/app", "1"),
        ("registry:5000/app", "registry:5000/app", "latest"),
        ("registry:5000/team/app:v2", "registry:5000/team/app", "v2"),
        ("app@sha256:" + "0" * 64, "app", "sha256:" + "0" * 64),
    ],
)
def test_parts_of_names(name: str, repo: str, tag: str) -> None:
    assert is_name(name)
    assert parts(name) == (repo, tag)


@pytest.mark.parametrize("name", ["UPPER", "a b", "a//b", "../a", "a?b", "a:b:c", "é", "-a"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)
