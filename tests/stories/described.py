"""Holds answers against the description of the API: what it says is what clients get."""

from __future__ import annotations

import functools
import re
from typing import Any

import jsonschema_rs
import msgspec

from dolium import conf
from dolium.api import openapi
from dolium.api.routes import ROUTES
from dolium.api.zun.capsule_view import LEGACY_UNTIL
from dolium.api.zun.container_networks import FIXED_IPS_SINCE

_VERSIONED = {
    "/v1/containers/{container}/network_list": FIXED_IPS_SINCE,
    **dict.fromkeys(("/v1/capsules", "/v1/capsules/{capsule}"), LEGACY_UNTIL + 1),
}
"""What is answered otherwise before a minor version; the document describes the newest."""


@functools.cache
def document() -> dict[str, Any]:
    """The description, as it is served."""
    served = msgspec.json.encode(openapi.document(ROUTES, conf.Limits()))
    found: dict[str, Any] = msgspec.json.decode(served)
    return found


@functools.cache
def _validator(template: str, verb: str, status: str) -> jsonschema_rs.Validator | None:
    answers = document()["paths"][template][verb]["responses"]
    answer = answers.get(status) or answers[f"{status[0]}XX"]
    name = answer.get("$ref", "").rpartition("/")[2]
    answer = document()["components"]["responses"][name] if name else answer
    if not (content := answer.get("content")):
        return None
    if not (json := content.get("application/json")):
        return None
    # References are looked up from the root of what is given here.
    schema = json["schema"] | {"components": document()["components"]}
    return jsonschema_rs.validator_for(schema)


@functools.cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path))), path) for path in paths]


def check(verb: str, path: str, status: int, raw: bytes, minor: int, media: str) -> None:
    """Raise AssertionError when the answer is not as described."""
    template = next((said for known, said in _templates() if known.fullmatch(path)), None)
    verb = "get" if verb == "HEAD" else verb.lower()
    if template is None or verb not in document()["paths"][template]:
        assert status in (401, 404, 405, 406), f"{verb} {path} is not described: {status}"
        return
    if status < 300 and minor < _VERSIONED.get(template, 0):
        return
    said = document()["paths"][template][verb]["responses"]
    assert str(status) in said or status >= 400, f"{verb} {template}: {status} is not described"
    validator = _validator(template, verb, str(status))
    if validator is None or media != "application/json" or (status < 300 and not raw):  # HEAD
        return
    try:
        validator.validate(msgspec.json.decode(raw))
    except jsonschema_rs.ValidationError as error:
        raise AssertionError(f"{verb} {template}: {status} {raw!r}\n{error}") from None
