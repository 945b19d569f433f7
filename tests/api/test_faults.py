"""Errors as clients see them."""

from __future__ import annotations

import logging

import pytest

from dolium import errors
from dolium.api import faults
from dolium.cli import logs
from tests.stories.cloud import Cloud


@pytest.mark.parametrize("kind", errors.Error.by_code.values(), ids=lambda kind: kind.code)
def test_every_error_has_a_name_of_the_api(kind: type[errors.Error]) -> None:
    special = (errors.Unauthorized, errors.WrongVersion, errors.StartError, errors.NotInVersion)
    elsewhere = (errors.Untrusted, errors.BadToken, errors.BadOrigin, errors.Crowded)
    if kind is errors.Error or issubclass(kind, (*special, *elsewhere)):
        return
    assert any(base in faults.NAMES for base in kind.__mro__), kind


def test_a_bug_is_logged_once_and_the_user_gets_its_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Cloud()
    caplog.handler.setFormatter(logs.Text())

    def broken(*_: object) -> None:
        raise KeyError("secret of the inside")

    monkeypatch.setattr(cloud.world.containers, "list", broken)
    reply = cloud.call("GET", "/v1/containers")
    request_id = reply.headers["x-openstack-request-id"]
    (told,) = reply.json["errors"]
    assert (reply.status, told["code"], told["title"]) == (
        500,
        "container.",
        "Internal Server Error",
    )
    assert request_id in told["detail"]
    assert "secret" not in reply.raw.decode()
    assert reply.headers["openstack-api-version"] == "container 1.40"
    (logged,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert caplog.text.count(request_id) == 1
    assert logged.exc_info


def test_percent_signs_and_braces_in_names_do_no_harm() -> None:
    reply = Cloud().call("GET", "/v1/containers/%(x)s{0}")
    assert reply.status == 404
    assert reply.json["errors"][0]["title"] == "Container %(x)s{0} could not be found."


def test_no_header_breaks_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = Cloud()

    def down(*_: object) -> None:
        raise errors.HostDown(host="host1")

    monkeypatch.setattr(cloud.world.containers, "list", down)
    reply = cloud.call("GET", "/v1/containers")
    assert reply.status == 503
    assert "retry-after" not in reply.headers  # python-zunclient fails on one beside a 503
    assert reply.json["errors"][0]["code"] == "container.container-host-not-up"
