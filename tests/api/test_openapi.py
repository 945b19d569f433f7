"""The description of the API: whole, valid, and whatever it allows is answered without a bug."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from dolium import conf
from dolium.api.routes import ROUTES
from tests.api.test_routes import BODIES, NAMES
from tests.stories import described
from tests.stories.cloud import Cloud, Reply

SCHEMA = schemathesis.openapi.from_dict(described.document())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
EXAMPLES = 8
"""Of each operation, and as many that are wrong; a thousand requests in all."""
UNMADE = schemathesis.core.NOT_SET
"""What stands for a body that is not sent."""


@functools.cache
def cloud() -> Cloud:
    return Cloud(quota=conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))


def _ready() -> None:
    """What paths name is there, however the last request ended."""
    made = cloud()
    if made.call("GET", "/v1/containers/web", who="root").status == 404:
        made.call("POST", "/v1/containers?run=true", body={"image": "cirros", "name": "web"})
        made.host.look()
    if made.call("GET", "/v1/registries/team", who="root").status == 404:
        made.call("POST", "/v1/registries", body={"registry": {"domain": "d.io", "name": "team"}})
    if made.call("GET", "/v1/capsules/pod", who="root").status == 404:
        made.call("POST", "/v1/capsules", body=BODIES["/v1/capsules"])


def _sent(case: Any) -> Reply:
    path = case.path.format(container="web", **NAMES)
    query = {name: value for name, value in (case.query or {}).items()}
    if path == "/v1/events":
        query["timeout"] = "0"
    body = None if case.body is UNMADE else case.body
    media = case.media_type or "application/json"
    if body is not None and media == "application/x-www-form-urlencoded":
        body = urlencode(body, doseq=True) if isinstance(body, dict) else str(body)
    asked = f"{path}?{urlencode(query, doseq=True)}"
    # The version is not drawn: most of what can be drawn is none.
    until = next(r.until for r in ROUTES if (r.verb, r.path) == (case.method, case.path))
    version = f"1.{until}"
    return cloud().call(case.method, asked, who="root", version=version, body=body, media=media)


CASES = [
    pytest.param(operation, mode, id=f"{operation.label} {mode.value}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.body or operation.query
]
"""A request that may give nothing can't give anything wrong."""


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_request_made_of_the_description_is_a_bug(operation: Any, mode: GenerationMode) -> None:
    """Answers are held against the description by Cloud.call."""

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        reply = _sent(case)
        if case.method != "GET":  # it may be gone, or have another name
            _ready()
        assert reply.status < 500, reply.raw

    _ready()
    ask()


def test_the_description_is_valid() -> None:
    SCHEMA.validate()


def test_every_route_is_described() -> None:
    paths = described.document()["paths"]
    said = {(verb.upper(), path) for path, verbs in paths.items() for verb in verbs}
    assert said == {(route.verb, route.path) for route in ROUTES}
    assert len(OPERATIONS) == len(ROUTES)
    idents = [verb["operationId"] for verbs in paths.values() for verb in verbs.values()]
    assert len(set(idents)) == len(idents)


def test_it_is_served_to_everybody() -> None:
    reply = cloud().call("GET", "/v1/openapi.json", who=None)
    assert reply.status == 200
    assert reply.json == described.document()
