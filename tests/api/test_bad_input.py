"""For every field of every route: what is not as described is refused by name, and changes nothing.

Made of the routes, so that nothing somebody adds tomorrow escapes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jsonschema_rs
import pytest

from dolium import conf
from dolium.api import fields
from dolium.api.fields import Schema
from dolium.api.forms import Form
from dolium.api.openapi import _schema
from dolium.api.route import Route
from dolium.api.routes import ROUTES
from tests.api.test_routes import BODIES, NAMES, running
from tests.control.world import HOST
from tests.stories.cloud import Cloud

LONG = 5000
"""Characters, and more than any field with a bound may have but a password."""

SOUND: dict[str, Any] = {
    "image": "cirros",
    "registry": {"domain": "d.example"},
    "template": BODIES["/v1/capsules"]["template"],
    "repo": "busybox",
    "repository": "kept",
    "host": HOST,
    "binary": "zun-compute",
    "forced_down": False,
    "command": "ls",
    "name": "other",
    "exec_id": "a" * 64,
    "h": 25,
    "w": 80,
    "path": "/tmp",
    "data": "",
}
"""What has to be given, by its name."""

ANYTHING: list[Schema] = [{}, fields.text().schema]
"""Of fields that take every string there is, where only strings can be sent."""

CANDIDATES: tuple[Any, ...] = (
    *(None, True, 7, -1, 2**70, 1.5, "", "bogus", "a\0b", "-", "٣", "a" * LONG),
    *([], [7], ["a", None], [[]], [{}], {}, {"bogus": 1}, {"bogus": {}}),
)
"""A wrong type, too long, empty, null, unknown: whichever the field does not take."""


class Bad(NamedTuple):
    """One field of a route with a value that it does not take."""

    route: Route
    where: str
    names: tuple[str, ...]
    """The field, and what it lies in."""
    value: Any

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) < 20 else f"{shown[:8]}..."
        return f"{self.route.verb} {self.route.path} {self.where} {'.'.join(self.names)}={shown}"


def _forms() -> Iterator[tuple[Route, str, Form]]:
    for route in ROUTES:
        made = route.within(conf.Limits())
        for where in ("query", "params", "body"):
            form = getattr(made, where)
            if isinstance(form, Form):
                yield made, where, form


def _fields(
    schema: Schema, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Every field with its own fields, however deep."""
    for name, inner in schema.get("properties", {}).items():
        yield (*names, name), inner
        yield from _fields(inner, (*names, name))
    if "items" in schema:
        yield from _fields(schema["items"], (*names, "0"))


def _bad() -> Iterator[Bad]:
    for route, where, form in _forms():
        textual = where == "query" or route.verb == "GET"
        for names, schema in _fields(_schema(form)):
            takes = jsonschema_rs.validator_for(schema)
            for value in CANDIDATES:
                if textual and not isinstance(value, str):
                    continue
                if not takes.is_valid(value):
                    yield Bad(route, where, names, value)


BAD: dict[str, list[Bad]] = {}
for _each in _bad():
    BAD.setdefault(f"{_each.route.verb} {_each.route.path} {_each.where}", []).append(_each)


@functools.cache
def cloud() -> tuple[Cloud, str]:
    made = Cloud(quota=conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))
    return made, running(made)


def _within(names: tuple[str, ...], value: Any, sound: Any = None) -> Any:
    """The value at its place in what is sound otherwise."""
    if not names:
        return value
    if names[0] == "0":
        return [_within(names[1:], value)]
    sound = dict(sound) if isinstance(sound, dict) else {}
    return sound | {names[0]: _within(names[1:], value, sound.get(names[0]))}


def _send(bad: Bad) -> Any:
    made, _ = cloud()
    route = bad.route
    path = route.path.format(container="web", **NAMES)
    form = getattr(route, bad.where)
    sent = _within(bad.names, bad.value, {name: SOUND[name] for name in form.required})
    version, body = f"1.{route.until}", sent
    if bad.where == "query" or route.verb == "GET":
        path, body = f"{path}?{urlencode(sent)}", None
        if isinstance(route.body, Form):
            body = {name: SOUND[name] for name in route.body.required}
    return made.call(route.verb, path, who="root", version=version, body=body)


def _all() -> list[bytes]:
    made, uuid = cloud()
    paths = [
        *("/v1/containers?all_projects=1", "/v1/registries?all_projects=1", "/v1/images"),
        *("/v1/quotas/north", "/v1/quota_classes/default", "/v1/services"),
        f"/v1/containers/{uuid}/container_actions",
    ]
    return [made.call("GET", path, who="root").raw for path in paths]


def _wrong(bad: Bad) -> str | None:
    """What is wrong about the answer."""
    reply = _send(bad)
    if reply.status != 400:
        return f"{bad}: {reply.status}"
    title = reply.json["errors"][0]["title"]
    named = any(name in title for name in (*bad.names, "Limit", "bogus"))
    return None if named else f"{bad}: {title}"


@pytest.mark.parametrize("place", BAD)
def test_what_is_not_as_described_is_refused_by_name(place: str) -> None:
    before = _all()
    assert [wrong for bad in BAD[place] if (wrong := _wrong(bad))] == []
    assert _all() == before


def test_there_is_something_to_send_for_every_field() -> None:
    sent = {(place, bad.names) for place, found in BAD.items() for bad in found}
    missing = [
        (route.verb, route.path, names)
        for route, where, form in _forms()
        for names, schema in _fields(_schema(form))
        if schema not in ANYTHING and (f"{route.verb} {route.path} {where}", names) not in sent
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("route", "where"),
    [(route, where) for route, where, form in _forms() if form.others],
    ids=lambda each: each if isinstance(each, str) else f"{each.verb} {each.path}",
)
def test_what_nobody_knows_is_refused_by_name(route: Route, where: str) -> None:
    before = _all()
    reply = _send(Bad(route, where, ("bogus_one",), "x"))
    assert reply.status == 400
    assert "bogus_one" in reply.json["errors"][0]["title"]
    assert _all() == before
