"""Files of a container as tar archives, copied out and in."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from dolium import conf, errors
from dolium.api import fields, shapes
from dolium.api.call import Answer, Call, largest
from dolium.api.fields import Check, Wrong
from dolium.api.forms import Form
from dolium.api.route import CONTAINER, Route
from dolium.model.container import QUESTIONS, check

BASE64_SINCE = 25
"""From this version on `data` is in base 64; before, text with a character for each byte."""
LONGEST_PATH = 4096

_encode = msgspec.json.encode
_PATH = {"path": fields.text(1, LONGEST_PATH, null=False)}


def _data(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("It is not a string")
    return value


_DATA = {"data": Check(_data, {"type": "string"})}

GET = Form(checks=_PATH, required=("path",))


def put(limits: conf.Limits) -> Form:
    """What unpacking takes: the largest body of all."""
    return Form(checks=_PATH | _DATA, required=("path", "data"), most=largest(limits))


def get_archive(call: Call) -> Answer:
    """`GET get_archive?path=`: a tar of a file or folder, and what it is."""
    path = call.given["path"]
    check("get_archive", QUESTIONS["get_archive"], call.row.uuid, call.row.status)
    found = call.service.questions.get_archive(call.context, call.row, path)
    if call.version < BASE64_SINCE:
        found["data"] = b64decode(found["data"]).decode("latin-1")
    return Answer(200, _encode(found))


def put_archive(call: Call) -> Answer:
    """`POST put_archive?path=`: unpacks the tar in `data` in a folder that is there."""
    limits, given = call.service.config.limits, call.given
    check("put_archive", QUESTIONS["put_archive"], call.row.uuid, call.row.status)
    raw = _bytes(given["data"], call.version)
    if len(raw) > limits.archive:
        why = f"The archive is larger than {limits.archive} bytes."
        raise errors.Invalid(field="data", why=why)
    data = b64encode(raw).decode()
    call.service.questions.put_archive(call.context, call.row, given["path"], data)
    return Answer(200, b"null")


def _bytes(data: str, version: int) -> bytes:
    if version < BASE64_SINCE:
        try:
            return data.encode("latin-1")
        except UnicodeEncodeError:
            raise errors.Invalid(field="data", why="It has characters that are no byte.") from None
    return fields.decoded("data", data)


ROUTES = (
    Route(
        "GET",
        f"{CONTAINER}/get_archive",
        get_archive,
        "container:get_archive",
        params=GET,
        told=shapes.Archive,
    ),
    Route("POST", f"{CONTAINER}/put_archive", put_archive, "container:put_archive", params=put),
)
