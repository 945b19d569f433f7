"""Services: the agent of each host, which the container API calls `zun-compute`."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields
from dolium.api.call import Answer, Call
from dolium.model.clock import iso
from dolium.store.services import Service

BINARY = "zun-compute"

_encode = msgspec.json.encode


def list_(call: Call) -> Answer:
    """`GET /v1/services`."""
    found = call.service.services.all()
    return Answer(200, _encode({"services": [_one(service) for service in found]}))


def enable(call: Call) -> Answer:
    """`PUT /v1/services/enable?host=&binary=`."""
    host, _ = _which(call)
    call.service.services.enable(host)
    return _told(host, disabled=False, disabled_reason=None)


def disable(call: Call) -> Answer:
    """`PUT /v1/services/disable?host=&binary=&disabled_reason=`: it gets nothing new."""
    host, given = _which(call)
    reason = given.get("disabled_reason")
    if reason is not None:
        reason = fields.one("disabled_reason", reason, fields.text(most=1024))
    call.service.services.disable(host, reason)
    return _told(host, disabled=True, disabled_reason=reason)


def force_down(call: Call) -> Answer:
    """`PUT /v1/services/force_down?host=&binary=&forced_down=`: proves a silent host gone."""
    host, given = _which(call)
    if given.get("forced_down") is None:
        raise errors.Missing(field="forced_down")
    down = fields.one("forced_down", given["forced_down"], fields.toggle)
    call.service.services.force_down(host, down)
    return _told(host, forced_down=down)


def delete(call: Call) -> Answer:
    """`DELETE /v1/services?host=&binary=`: forgets a host without containers."""
    host, _ = _which(call)
    call.service.services.delete(host)
    return Answer(200, b"null")


def _which(call: Call) -> tuple[str, dict[str, Any]]:
    """The host that is meant, and all parameters."""
    given = call.params()
    for name in ("host", "binary"):
        if given.get(name) is None:
            raise errors.Missing(field=name)
        fields.one(name, given[name], fields.text(1, 255))
    if given["binary"] != BINARY:
        raise errors.NotFound(kind="Service", id=f"{given['binary']} on host {given['host']}")
    return given["host"], given


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
