"""Quotas: what a project may use, and what it does."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium.api import fields, shapes
from dolium.api.call import Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.model.quota import UNLIMITED, Amounts, Limits

MOST = 2**31 - 1
"""The largest limit: a thousand times as much is still a number of every database."""

NAMES = ("containers", "memory", "disk", "cpu")
"""What can be limited, in the order of answers: how many, MiB, GiB and CPUs."""

LIMITS = Form(checks=dict.fromkeys(NAMES, fields.whole(-1, MOST, null=False)))
USAGES = Form(checks={"usages": fields.anything}, others=None)

_encode = msgspec.json.encode


def show(call: Call) -> Answer:
    """`GET /v1/quotas/{project}?usages=`."""
    project_id, quotas = _project(call), call.service.quotas
    if not call.asked.get("usages"):
        return told(quotas.of_project(project_id))
    limits, used = quotas.used(project_id)
    # Only what is used may be a part of a CPU.
    in_use = shown(used) | {"cpu": used.cpu_m / 1000}
    both = {name: {"limit": most, "in_use": in_use[name]} for name, most in shown(limits).items()}
    return Answer(200, _encode(both))


def defaults(call: Call) -> Answer:
    """`GET /v1/quotas/{project}/defaults`."""
    _project(call)
    return told(call.service.quotas.defaults())


def update(call: Call) -> Answer:
    """`PUT /v1/quotas/{project}`, limits in the body or the query."""
    project_id, given = _project(call), limits(call)
    return told(call.service.quotas.limit(project_id, given))


def delete(call: Call) -> Answer:
    """`DELETE /v1/quotas/{project}`: back to the defaults."""
    call.service.quotas.unlimit(_project(call))
    return Answer(200, b"null")


def limits(call: Call) -> Limits:
    """The limits that a request gives."""
    names = {"memory": "memory_mib", "disk": "disk_gib"}
    found = {names.get(name, name): int(value) for name, value in call.given.items()}
    cpus = found.pop("cpu", None)
    if cpus is not None:
        found["cpu_m"] = cpus if cpus == UNLIMITED else cpus * 1000
    return found


def told(amounts: Amounts) -> Answer:
    """Limits as clients read them."""
    return Answer(200, _encode(shown(amounts)))


def shown(amounts: Amounts) -> dict[str, Any]:
    """The same by name."""
    cpus = amounts.cpu_m if amounts.cpu_m == UNLIMITED else amounts.cpu_m // 1000
    values = (amounts.containers, amounts.memory_mib, amounts.disk_gib, cpus)
    return dict(zip(NAMES, values, strict=True))


def _project(call: Call) -> str:
    return str(fields.one("project", call.path["project"], fields.text(1, 64)))


_QUOTA = "/v1/quotas/{project}"

ROUTES = (
    Route("GET", _QUOTA, show, "quota:get", query=USAGES, told=shapes.Usages),
    Route("PUT", _QUOTA, update, "quota:update", params=LIMITS, told=shapes.Limits),
    Route("DELETE", _QUOTA, delete, "quota:delete"),
    Route("GET", f"{_QUOTA}/defaults", defaults, "quota:get_default", told=shapes.Limits),
)
