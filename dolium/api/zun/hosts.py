"""Hosts: what they have and how much of it is taken."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from dolium import errors
from dolium.api import paging, shapes
from dolium.api.call import Answer, Call
from dolium.api.route import Route
from dolium.control.services import Host

SORTS = frozenset(
    [
        *("id", "uuid", "hostname", "mem_total", "mem_used", "total_containers", "cpus"),
        *("cpu_used", "architecture", "os_type", "os", "kernel_version", "disk_total"),
        *("disk_used", "created_at", "updated_at"),
    ]
)
"""What a list may be sorted by."""

PAGE = paging.form(SORTS, others=None)

_encode = msgspec.json.encode


def list_(call: Call) -> Answer:
    """`GET /v1/hosts`."""
    query = paging.query(call)
    sort_key, sort_dir, limit = query.sort_key, query.sort_dir, query.limit
    found = call.service.services.hosts()
    found.sort(key=lambda host: _order(host, sort_key), reverse=sort_dir == "desc")
    left = _after(found, query.marker)
    told: dict[str, Any] = {"hosts": [_one(host, call.prefix) for host in left[:limit]]}
    told["next"] = None
    if len(left) > limit:
        asked = {"sort_key": sort_key, "sort_dir": sort_dir, "limit": limit}
        asked["marker"] = left[limit - 1].service.uuid
        told["next"] = f"{call.prefix}/v1/hosts?{urlencode(asked)}"
    return Answer(200, _encode(told))


def show(call: Call) -> Answer:
    """`GET /v1/hosts/{host}`, by id or name."""
    host = call.service.services.host(call.path["host"])
    return Answer(200, _encode(_one(host, call.prefix)))


def _after(found: list[Host], marker: str | None) -> list[Host]:
    if marker is None:
        return found
    for number, host in enumerate(found):
        if host.service.uuid == marker:
            return found[number + 1 :]
    raise errors.NotFound(kind="Compute node", id=marker)


def _order(host: Host, key: str) -> tuple[Any, int]:
    service = host.service
    times = {"id": service.id, "created_at": service.created_at, "updated_at": service.updated_at}
    value = times[key] if key in times else _fields(host)[key]
    return value or 0 if key in times else value, service.id


def _one(host: Host, prefix: str) -> dict[str, Any]:
    path = f"hosts/{host.service.uuid}"
    links = [
        {"href": f"{prefix}/v1/{path}", "rel": "self"},
        {"href": f"{prefix}/{path}", "rel": "bookmark"},
    ]
    told = _fields(host)
    return {"uuid": told.pop("uuid"), "links": links} | told


def _fields(host: Host) -> dict[str, Any]:
    service, inventory = host.service, host.inventory
    return {
        "uuid": service.uuid,
        "hostname": service.name,
        "mem_total": inventory.memory_mib,
        "mem_used": service.used_memory_mib,
        "total_containers": host.containers,
        "cpus": inventory.cpus,
        "cpu_used": service.used_cpu_m / 1000,
        "architecture": inventory.architecture,
        "os_type": inventory.os_type,
        "os": inventory.os,
        "kernel_version": inventory.kernel_version,
        "labels": inventory.labels,
        "disk_total": inventory.disk_gib,
        "disk_used": service.used_disk_gib,
        "disk_quota_supported": inventory.disk_quota,
        "runtimes": inventory.runtimes,
        "enable_cpu_pinning": inventory.enable_cpu_pinning,
    }


ROUTES = (
    Route("GET", "/v1/hosts", list_, "host:get_all", since=4, query=PAGE, told=shapes.Hosts),
    Route("GET", "/v1/hosts/{host}", show, "host:get", since=4, told=shapes.Host),
)
