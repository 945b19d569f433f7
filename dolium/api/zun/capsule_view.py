"""A capsule as clients read it, in the form of today or of versions up to 1.31."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from dolium.api.zun.container_view import bare, spaced
from dolium.control.parts import Capsule
from dolium.model import capsule

LEGACY_UNTIL = 31
"""The last version that reads the older form."""

_NONE_EVER = {
    "volumes_info": {},
    "containers_uuids": [],
    "init_containers_uuids": [],
    "capsule_version": "",
}
"""Keys of the older form that never say anything."""


def shown(
    found: Capsule,
    version: int,
    hidden: frozenset[str],
    hidden_inside: frozenset[str],
    now: float,
    prefix: str,
) -> dict[str, Any]:
    """hidden, hidden_inside: what the caller does not see of it and of its containers."""
    row, spec, path = found.sandbox, found.spec, f"capsules/{found.sandbox.uuid}"
    policy = spec.restart_policy
    changed = [each.updated_at for each in found.parts if each.updated_at is not None]
    told: dict[str, Any] = {
        "uuid": row.uuid,
        "links": [
            {"href": f"{prefix}/v1/{path}", "rel": "self"},
            {"href": f"{prefix}/{path}", "rel": "bookmark"},
        ],
        "name": row.name,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "cpu": spec.cpu,
        "memory": spec.memory,
        "status": capsule.state(found.parts).value,
        "status_reason": capsule.reason(found.parts),
        "labels": spec.labels,
        "addresses": Raw(row.addresses),
        "restart_policy": policy,
        "annotations": spec.annotations,
        "host": row.host,
        "created_at": spaced(row.created_at),
        "updated_at": spaced(max(changed)) if changed else None,
        "containers": [Raw(bare(each, hidden_inside, now)) for each in found.containers],
        "init_containers": [Raw(bare(each, hidden_inside, now)) for each in found.inits],
    }
    if version <= LEGACY_UNTIL:
        told = _legacy(told, policy.name if policy else "")
    return {name: value for name, value in told.items() if name not in hidden}


def _legacy(told: dict[str, Any], policy: str) -> dict[str, Any]:
    renamed = {"name": "meta_name", "labels": "meta_labels"}
    old = {renamed.get(name, name): value for name, value in told.items()}
    return old | {"restart_policy": policy} | _NONE_EVER
