"""Terminals of containers: attach, and the sizes of windows."""

from __future__ import annotations

import msgspec

from dolium.api import fields
from dolium.api.call import Answer, Call
from dolium.api.forms import NOTHING, Form
from dolium.api.route import CONTAINER, Route

LARGEST = 2**16 - 1
"""Lines or columns that the kernel can tell a process of."""

_SIZE = dict.fromkeys(("h", "w"), fields.whole(1, LARGEST, null=False))
_EXEC = {"exec_id": fields.text(64, 64, "[0-9a-f]*", null=False)}

RESIZE = Form(checks=_SIZE, required=tuple(_SIZE))
EXECUTE_RESIZE = Form(checks=_EXEC | _SIZE, required=("exec_id", *_SIZE))

NULL = Answer(200, b"null")


def attach(call: Call) -> Answer:
    """`GET attach`: the address of a websocket, as a JSON string."""
    return Answer(200, msgspec.json.encode(call.service.consoles.attach(call.row)))


def resize(call: Call) -> Answer:
    """`POST resize?h=&w=`: the window of who is attached."""
    size = call.given
    call.service.consoles.resize(call.row, size["h"], size["w"])
    return NULL


def execute_resize(call: Call) -> Answer:
    """`POST execute_resize?exec_id=&h=&w=`: the window of a command."""
    given = call.given
    call.service.consoles.execute_resize(call.row, given["exec_id"], given["h"], given["w"])
    return NULL


ROUTES = (
    Route(
        "POST",
        f"{CONTAINER}/execute_resize",
        execute_resize,
        "container:execute_resize",
        params=EXECUTE_RESIZE,
    ),
    Route("GET", f"{CONTAINER}/attach", attach, "container:attach", params=NOTHING, told=str),
    Route("POST", f"{CONTAINER}/resize", resize, "container:resize", params=RESIZE),
)
