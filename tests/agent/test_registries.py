"""Images of a project's registry: who signs in is asked at each pull, and kept nowhere."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.drivers.engine.fake import Image
from dolium.model.container import State
from dolium.model.registry import Login
from tests.agent.stub import Bench

U = "c0000000-0000-4000-8000-000000000001"
BOX = f"dolium-{U}-1"
LOGIN = Login(domain="d.example", username="u", password="hunter2")


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.engine.registry["d.example/team/app:latest"] = Image()
    made.engine.logins["d.example/team/app:latest"] = LOGIN
    made.control.sign_in = LOGIN
    return made


def test_an_image_without_a_registry_is_of_the_containers(bench: Bench) -> None:
    number = bench.control.create(U, image="team/app", registry_id="r")
    bench.settle()
    assert bench.control.results[number].ok
    assert bench.engine.boxes[BOX].spec.image == "d.example/team/app"
    assert bench.engine.boxes[BOX].state is State.RUNNING
    assert bench.control.logins_asked == 1
    journal = "\n".join(bench.journal._db.iterdump())
    assert U in journal
    assert "hunter2" not in journal


def test_others_are_not_asked_for(bench: Bench) -> None:
    bench.control.create(U)
    bench.settle()
    assert bench.engine.boxes[BOX].state is State.RUNNING
    assert bench.control.logins_asked == 0


def test_a_password_is_not_for_another_registry(bench: Bench) -> None:
    bench.engine.registry["quay.io/app:latest"] = Image()
    bench.engine.logins["quay.io/app:latest"] = LOGIN
    number = bench.control.create(U, image="quay.io/app", registry_id="r")
    bench.settle()
    assert not bench.control.results[number].ok
    assert "denies access" in str(bench.control.results[number].message)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.NotFound(kind="Registry", id="r"), "Registry r could not be found."),
        (errors.Unreadable(where="secrets.key"), "A password can't be read: secrets.key"),
    ],
)
def test_what_is_definite_ends_the_creation(bench: Bench, error: errors.Error, says: str) -> None:
    bench.control.sign_in = error
    number = bench.control.create(U, image="team/app", registry_id="r")
    bench.settle()
    assert str(bench.control.results[number].message).startswith(says)


@pytest.mark.parametrize(
    "error",
    [
        errors.Unanswered(what="The control side", why="no connection"),
        errors.Changed(kind="Host", id="h"),
    ],
)
def test_what_passes_is_tried_again(bench: Bench, error: errors.Error) -> None:
    bench.control.sign_in = error
    number = bench.control.create(U, image="team/app", registry_id="r")
    bench.settle()
    assert number not in bench.control.results
    assert str(bench.control.facts[U].reason).startswith("The control side does not answer")
    bench.control.sign_in = LOGIN
    bench.settle(60)
    assert bench.control.results[number].ok
