"""The documents a client looks at first; no token is needed for them."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium.api import versions
from dolium.api.call import Answer, Call
from dolium.api.route import Route

RESOURCES = (
    *("services", "containers", "images", "networks", "hosts", "capsules"),
    *("availability_zones", "quotas", "quota_classes", "registries"),
)

_encode = msgspec.json.encode


def root(call: Call) -> Answer:
    """`GET /`: which versions there are."""
    version = {
        "id": "v1",
        "links": [{"href": f"{call.prefix}/v1/", "rel": "self"}],
        "status": "CURRENT",
        "max_version": versions.named(versions.HIGH),
        "min_version": versions.named(versions.LOW),
    }
    told = {
        "name": "OpenStack Zun API",
        "description": "Zun is an OpenStack project which aims to provide containers service.",
        "versions": [version],
        "default_version": version,
    }
    return Answer(200, _encode(told))


def v1(call: Call) -> Answer:
    """`GET /v1`: which resources there are."""
    prefix = call.prefix
    told: dict[str, Any] = {
        "id": "v1",
        "media_types": [
            {"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}
        ],
        "links": [
            {"href": f"{prefix}/v1/", "rel": "self"},
            {
                "href": "https://docs.openstack.org/developer/zun/dev/api-spec-v1.html",
                "rel": "describedby",
                "type": "text/html",
            },
        ],
    }
    for name in RESOURCES:
        told[name] = [
            {"href": f"{prefix}/v1/{name}/", "rel": "self"},
            {"href": f"{prefix}/{name}/", "rel": "bookmark"},
        ]
    return Answer(200, _encode(told))


ROUTES = (
    Route("GET", "/", root, told=dict),
    Route("GET", "/v1", v1, told=dict),
)
