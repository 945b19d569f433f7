"""Tokens: validated by keystonemiddleware, remembered for a while, never too long."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dolium import errors
from dolium.api import auth
from dolium.api.auth import Keystone, Options, Who
from tests.api.keystone import FakeKeystone

# webob, which keystonemiddleware is made of, imports what Python is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

ALICE = Who(
    user_id="alice-id",
    project_id="north",
    user_name="alice",
    project_name="North",
    roles=("member", "reader"),
)


class StillClock:
    """The real day, but hours pass only when told."""

    def __init__(self) -> None:
        self.time = time.time()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def keystone() -> Iterator[FakeKeystone]:
    fake = FakeKeystone()
    yield fake
    fake.stop()


def options(url: str) -> Options:
    return Options(auth_url=url, username="dolium", password="secret")


def environ(token: str | None, path: str = "/v1/containers", **more: Any) -> dict[str, Any]:
    asked = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "dolium",
        "SERVER_PORT": "9517",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
    }
    return asked | ({"HTTP_X_AUTH_TOKEN": token} if token else {}) | more


def test_a_token_is_asked_for_once_a_minute(keystone: FakeKeystone) -> None:
    clock = StillClock()
    door = Keystone(options(keystone.url), clock)
    keystone.issue("t1", clock.time + 3600)
    assert door.who(environ("t1")) == ALICE
    assert door.who(environ("t1", path="/v1/containers/other")) == ALICE
    assert keystone.asked["t1"] == 1
    clock.time += 59
    door.who(environ("t1"))
    assert keystone.asked["t1"] == 1
    del keystone.tokens["t1"]  # revoked meanwhile
    clock.time += 2
    with pytest.raises(errors.Unauthorized):
        door.who(environ("t1"))


def test_the_first_request_finds_a_token_of_ours(keystone: FakeKeystone) -> None:
    door = Keystone(options(keystone.url))
    door.warm()
    assert keystone.issued == 1
    keystone.issue("t1", time.time() + 3600)
    assert door.who(environ("t1")) == ALICE
    assert keystone.issued == 1


def test_a_keystone_that_is_not_up_yet_is_neither_an_error_nor_news(
    keystone: FakeKeystone, caplog: pytest.LogCaptureFixture
) -> None:
    keystone.stop()
    door = Keystone(options(keystone.url))
    door.warm()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    with pytest.raises(errors.Unanswered):
        door.who(environ("t1"))
    assert "Unable to validate token" in caplog.text  # to a request it is


def test_a_token_is_never_believed_beyond_its_end(keystone: FakeKeystone) -> None:
    clock = StillClock()
    door = Keystone(options(keystone.url), clock)
    keystone.issue("t1", clock.time + 5)
    door.who(environ("t1"))
    del keystone.tokens["t1"]
    clock.time += 4
    door.who(environ("t1"))
    clock.time += 2
    with pytest.raises(errors.Unauthorized):
        door.who(environ("t1"))


def test_no_token_and_a_wrong_one_are_told_where_to_get_one(keystone: FakeKeystone) -> None:
    door = Keystone(options(keystone.url))
    for token in (None, "nosuch"):
        with pytest.raises(errors.Unauthorized) as caught:
            door.who(environ(token))
        assert caught.value.facts["challenge"] == f'Keystone uri="{keystone.url}"'
    assert keystone.asked["nosuch"] == 1


def test_what_a_client_claims_to_be_counts_for_nothing(keystone: FakeKeystone) -> None:
    door = Keystone(options(keystone.url))
    keystone.issue("t1", time.time() + 3600)
    claims = {"HTTP_X_ROLES": "admin", "HTTP_X_PROJECT_ID": "south", "HTTP_X_USER_ID": "root"}
    assert door.who(environ("t1", **claims)) == ALICE


def test_access_rules_hold_for_each_request(keystone: FakeKeystone) -> None:
    """An application credential that may only list may not show, however soon after."""
    door = Keystone(options(keystone.url))
    rules = [{"id": "r", "service": "container", "method": "GET", "path": "/v1/containers"}]
    credential = {"id": "a", "name": "a", "restricted": True, "access_rules": rules}
    keystone.issue("t1", time.time() + 3600, application_credential=credential)
    accepts = {"HTTP_OPENSTACK_IDENTITY_ACCESS_RULES": "1.0"}
    assert door.who(environ("t1", **accepts)) == ALICE
    with pytest.raises(errors.Unauthorized):
        door.who(environ("t1", path="/v1/containers/web", **accepts))
    assert keystone.asked["t1"] == 2


def test_a_service_token_is_part_of_what_is_remembered(keystone: FakeKeystone) -> None:
    door = Keystone(options(keystone.url))
    keystone.issue("t1", time.time() + 3600)
    door.who(environ("t1"))
    with pytest.raises(errors.Unauthorized):
        door.who(environ("t1", HTTP_X_SERVICE_TOKEN="nosuch"))


def test_a_keystone_that_is_down_is_not_the_users_fault(keystone: FakeKeystone) -> None:
    clock = StillClock()
    door = Keystone(options(keystone.url), clock)
    keystone.issue("t1", clock.time + 3600)
    door.who(environ("t1"))
    keystone.stop()
    assert door.who(environ("t1")) == ALICE  # remembered
    with pytest.raises(errors.Unanswered, match="Keystone does not answer"):
        door.who(environ("t2"))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, keystone: FakeKeystone) -> None:
    monkeypatch.setattr(auth, "MOST_REMEMBERED", 3)
    door = Keystone(options(keystone.url))
    for number in range(10):
        keystone.issue(f"t{number}", time.time() + 3600)
        door.who(environ(f"t{number}"))
    assert len(door._memo) <= 3


def test_tokens_are_not_kept_in_clear(keystone: FakeKeystone) -> None:
    door = Keystone(options(keystone.url))
    keystone.issue("secret-token", time.time() + 3600)
    door.who(environ("secret-token"))
    assert "secret-token" not in repr(door._memo)
