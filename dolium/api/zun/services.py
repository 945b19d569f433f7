"""Services: the agent of each host, which the container API calls `zun-compute`."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, shapes
from dolium.api.call import Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.model.clock import iso
from dolium.store.services import Service

BINARY = "zun-compute"

_NAMES = dict.fromkeys(("host", "binary"), fields.text(1, 255))

WHICH = Form(checks=_NAMES, required=tuple(_NAMES), others=None)
DISABLE = Form(
    checks=_NAMES | {"disabled_reason": fields.text(most=1024)},
    required=tuple(_NAMES),
    others=None,
)
FORCE_DOWN = Form(
    checks=_NAMES | {"forced_down": fields.toggle},
    required=(*_NAMES, "forced_down"),
    others=None,
)

_encode = msgspec.json.encode


def list_(call: Call) -> Answer:
    """`GET /v1/services`."""
    found = call.service.services.all()
    return Answer(200, _encode({"services": [_one(service) for service in found]}))


def enable(call: Call) -> Answer:
    """`PUT /v1/services/enable?host=&binary=`."""
    host = _which(call)
    call.service.services.enable(host)
    return _told(host, disabled=False, disabled_reason=None)


def disable(call: Call) -> Answer:
    """`PUT /v1/services/disable?host=&binary=&disabled_reason=`: it gets nothing new."""
    host, reason = _which(call), call.given.get("disabled_reason")
    call.service.services.disable(host, reason)
    return _told(host, disabled=True, disabled_reason=reason)


def force_down(call: Call) -> Answer:
    """`PUT /v1/services/force_down?host=&binary=&forced_down=`: proves a silent host gone."""
    host, down = _which(call), call.given["forced_down"]
    call.service.services.force_down(host, down)
    return _told(host, forced_down=down)


def delete(call: Call) -> Answer:
    """`DELETE /v1/services?host=&binary=`: forgets a host without containers."""
    host = _which(call)
    call.service.services.delete(host)
    return Answer(200, b"null")


def _which(call: Call) -> str:
    """The host that is meant."""
    host, binary = call.given["host"], call.given["binary"]
    if binary != BINARY:
        raise errors.NotFound(kind="Service", id=f"{binary} on host {host}")
    return str(host)


def _told(host: str, **values: Any) -> Answer:
    return Answer(200, _encode({"service": {"host": host, "binary": BINARY} | values}))


def _one(service: Service) -> dict[str, Any]:
    changed = max(service.updated_at or 0.0, service.heard_at or 0.0)
    return {
        "id": service.id,
        "host": service.name,
        "binary": BINARY,
        "disabled": service.disabled,
        "disabled_reason": service.disabled_reason,
        "last_seen_up": _time(service.heard_at),
        "forced_down": service.forced_down,
        "report_count": service.beat,
        "availability_zone": service.zone,
        "created_at": iso(service.created_at),
        "updated_at": _time(changed or None),
        "state": "up" if service.up else "down",
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


_SERVICES = "/v1/services"

ROUTES = (
    Route("GET", _SERVICES, list_, "zun-service:get_all", told=shapes.Services),
    Route("DELETE", _SERVICES, delete, "zun-service:delete", params=WHICH),
    Route(
        "PUT",
        f"{_SERVICES}/enable",
        enable,
        "zun-service:enable",
        params=WHICH,
        told=shapes.SwitchedService,
    ),
    Route(
        "PUT",
        f"{_SERVICES}/disable",
        disable,
        "zun-service:disable",
        params=DISABLE,
        told=shapes.SwitchedService,
    ),
    Route(
        "PUT",
        f"{_SERVICES}/force_down",
        force_down,
        "zun-service:force_down",
        params=FORCE_DOWN,
        told=shapes.SwitchedService,
    ),
)
