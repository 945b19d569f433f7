"""Availability zones: where users may ask containers to be."""

from __future__ import annotations

import msgspec

from dolium.api import shapes
from dolium.api.call import Answer, Call
from dolium.api.route import Route

_encode = msgspec.json.encode


def list_(call: Call) -> Answer:
    """`GET /v1/availability_zones`."""
    found = [{"availability_zone": zone} for zone in call.service.services.zones()]
    return Answer(200, _encode({"availability_zones": found, "next": None}))


ROUTES = (
    Route("GET", "/v1/availability_zones", list_, "availability_zones:get_all", told=shapes.Zones),
)
