"""Watching a project: changes of what it has as server-sent events. An addition to Zun's API.

    id: 42
    event: container
    data: {"revision": 42, "uuid": "...", "what": "observed", "at": "...", "status": "Running", ...}

The event of a capsule is named `capsule`; whatever happens to one of its containers is a change of
the capsule, as no list shows that container.

Whoever lost the connection comes back with the last id (header `Last-Event-ID`, or `since=42`) and
misses nothing; browsers' EventSource does so by itself (html.spec.whatwg.org, 9.2).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields
from dolium.api.call import Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.api.zun.container_view import detail, spaced
from dolium.control.watching import Change
from dolium.model import capsule

LONGEST_S = 600
"""After so long the answer ends, and the token has to be shown again."""
ALIVE_S = 15.0
"""A line for nobody after so long without news shows both ends that the other one is there."""

_SINCE = fields.whole(0, 2**62)

WATCH = Form(
    checks={"since": _SINCE, "timeout": fields.whole(0, LONGEST_S)}, refusal=errors.InvalidQuery
)


def watch(call: Call) -> Answer:
    """`GET /v1/events?since=&timeout=`."""
    project_id = call.context.project_id
    if not project_id:
        raise errors.Forbidden(rule="event:watch")
    since = call.asked.get("since")
    if last := call.header("Last-Event-ID"):  # a client that comes back asks the same address
        since = fields.one("Last-Event-ID", last, _SINCE, errors.InvalidQuery)
    watching = call.service.watching
    if since is None:
        since = watching.revision(project_id)
    watching.after(project_id, since, until=0.0)  # what is forgotten is told by a status
    seconds = call.asked.get("timeout")
    chunks = _chunks(call, project_id, since, LONGEST_S if seconds is None else seconds)
    return Answer(200, stream=call.service.streams.open(chunks), media="text/event-stream")


def _chunks(call: Call, project_id: str, since: int, seconds: int) -> Generator[bytes]:
    clock, closing = call.service.clock, call.service.streams.closing
    end = clock.monotonic() + seconds
    yield _event(since, "begin", {"revision": since})
    while not closing.is_set():
        try:
            found = call.service.watching.after(
                project_id, since, min(end, clock.monotonic() + ALIVE_S), closing.is_set
            )
        except errors.Error as error:  # it comes back and is told by a status
            yield b": %s\n\n" % str(error).encode()
            return
        for change in found:
            since = change.revision
            yield _event(since, change.kind, _told(change, clock.now()))
        if found:
            continue
        if clock.monotonic() >= end:
            return
        yield b":\n\n"


def _told(change: Change, now: float) -> dict[str, Any]:
    told = {
        "revision": change.revision,
        "uuid": change.uuid,
        "what": change.what,
        "at": spaced(change.at),
    }
    names = ("name", "status", "status_reason", "task_state")
    if (whole := change.capsule) is not None:
        state, why = capsule.state(whole.parts).value, capsule.reason(whole.parts)
        return told | dict(zip(names, (whole.sandbox.name, state, why, None), strict=True))
    row = change.container
    told |= {name: getattr(row, name) if row else None for name in names}
    return told | {"status_detail": detail(row, now) if row else None}


def _event(number: int, kind: str, data: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        number,
        kind.encode(),
        msgspec.json.encode(data),
    )


MEDIA = "text/event-stream"

ROUTES = (Route("GET", "/v1/events", watch, "event:watch", query=WATCH, told=str, media=(MEDIA,)),)
