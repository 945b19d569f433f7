"""Quota classes: named sets of limits, of which `default` is for who has none of their own."""

from __future__ import annotations

from dolium.api import fields, shapes
from dolium.api.call import Answer, Call
from dolium.api.route import Route
from dolium.api.zun import quotas


def show(call: Call) -> Answer:
    """`GET /v1/quota_classes/{class}`; one that nobody made has the configured limits."""
    return quotas.told(call.service.quotas.of_class(_name(call)))


def update(call: Call) -> Answer:
    """`PUT /v1/quota_classes/{class}`, limits in the body or the query."""
    name, given = _name(call), quotas.limits(call)
    return quotas.told(call.service.quotas.limit_class(name, given))


def _name(call: Call) -> str:
    return str(fields.one("quota_class", call.path["quota_class"], fields.text(1, 255)))


_QUOTA_CLASS = "/v1/quota_classes/{quota_class}"

ROUTES = (
    Route("GET", _QUOTA_CLASS, show, "quota_class:get", told=shapes.Limits),
    Route(
        "PUT", _QUOTA_CLASS, update, "quota_class:update", params=quotas.LIMITS, told=shapes.Limits
    ),
)
