"""What was asked of a container: its journal as the API shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium.api import shapes
from dolium.api.call import Answer, Call
from dolium.api.route import CONTAINER, Route
from dolium.model import record
from dolium.model.clock import iso

_encode = msgspec.json.encode


def list_(call: Call) -> Answer:
    """`GET container_actions`, newest first."""
    rows = call.service.containers.actions(call.row)
    return Answer(200, _encode({"containerActions": [_action(row) for row in rows]}))


def show(call: Call) -> Answer:
    """`GET container_actions/{request_id}`, with its events."""
    row = call.service.containers.action(call.row, call.path["request_id"])
    traces = call.service.policy.allows(
        "container:action:events", call.context, call.row.project_id, call.row.user_id
    )
    events = [_event(event, traces) for event in row.events]
    return Answer(200, _encode(_action(row) | {"events": events}))


def _action(row: record.Action) -> dict[str, Any]:
    return {
        "action": row.verb,
        "container_uuid": row.container_uuid,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": iso(row.start_time),
        "finish_time": _time(row.finish_time),
        "message": row.message,
    }


def _event(event: record.Moment, traces: bool) -> dict[str, Any]:
    return {
        "event": event.event,
        "start_time": iso(event.start_time),
        "finish_time": _time(event.finish_time),
        "result": event.result,
        "traceback": event.traceback if traces else None,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


ROUTES = (
    Route("GET", f"{CONTAINER}/container_actions", list_, "container:actions", told=shapes.Actions),
    Route(
        "GET",
        f"{CONTAINER}/container_actions/{{request_id}}",
        show,
        "container:actions",
        told=shapes.Action,
    ),
)
