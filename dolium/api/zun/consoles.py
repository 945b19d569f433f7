"""Terminals of containers: attach, and the sizes of windows."""

from __future__ import annotations

import msgspec

from dolium.api import fields
from dolium.api.call import Answer, Call
from dolium.api.fields import read

LARGEST = 2**16 - 1
"""Lines or columns that the kernel can tell a process of."""

SIZE = dict.fromkeys(("h", "w"), fields.whole(1, LARGEST, null=False))
EXEC = fields.text(64, 64, "[0-9a-f]*", null=False)

NULL = Answer(200, b"null")


def attach(call: Call) -> Answer:
    """`GET attach`: the address of a websocket, as a JSON string."""
    read(call.params(), {})
    return Answer(200, msgspec.json.encode(call.service.consoles.attach(call.row)))


def resize(call: Call) -> Answer:
    """`POST resize?h=&w=`: the window of who is attached."""
    size = read(call.params(), SIZE, required=SIZE)
    call.service.consoles.resize(call.row, size["h"], size["w"])
    return NULL


def execute_resize(call: Call) -> Answer:
    """`POST execute_resize?exec_id=&h=&w=`: the window of a command."""
    given = read(call.params(), SIZE | {"exec_id": EXEC}, required=["exec_id", *SIZE])
    call.service.consoles.execute_resize(call.row, given["exec_id"], given["h"], given["w"])
    return NULL
