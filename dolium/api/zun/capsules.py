"""Capsules: create, list, show, delete."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging
from dolium.api.call import GONE, Answer, Call
from dolium.api.fields import Check
from dolium.api.zun import capsule_view
from dolium.api.zun.containers import GET_ONE as CONTAINER
from dolium.control.parts import Capsule

GET = "capsule:get"

SORTS = frozenset(
    [
        *("id", "uuid", "name", "project_id", "user_id", "memory", "host"),
        *("created_at", "updated_at"),
    ]
)

DELETE: dict[str, Check] = {"all_projects": fields.toggle}

_encode = msgspec.json.encode


def create(call: Call) -> Answer:
    """`POST /v1/capsules`."""
    context, service = call.context, call.service
    if not context.project_id:
        raise errors.Forbidden(rule="capsule:create")

    def may(rule: str) -> bool:
        return service.policy.allows(rule, context, context.project_id, context.user_id)

    found = service.capsules.create(context, service.templates.read(call.new(), call.version, may))
    location = f"{call.prefix}/v1/capsules/{found.sandbox.uuid}"
    return Answer(202, _encode(_shown(call, found)), location)


def list_(call: Call) -> Answer:
    """`GET /v1/capsules`; what it does not know of the query it ignores, as Zun does."""
    query = paging.read(call, call.query(), SORTS)
    if query.all_projects:
        call.allow("capsule:get_all_all_projects")
    found = call.service.capsules.list(call.context, query)
    more = paging.following(call, "/v1/capsules", query, [each.sandbox.uuid for each in found])
    return Answer(200, _encode({"capsules": [_shown(call, each) for each in found], "next": more}))


def show(call: Call) -> Answer:
    """`GET /v1/capsules/{capsule}`, by id or name."""
    return Answer(200, _encode(_shown(call, _found(call, GET))))


def delete(call: Call) -> Answer:
    """`DELETE /v1/capsules/{capsule}?all_projects=`, in whatever state it is."""
    found = _found(call, "capsule:delete")
    if fields.read(call.query(), DELETE, refusal=errors.InvalidQuery).get("all_projects"):
        call.allow("capsule:delete_all_projects")
    call.service.capsules.delete(call.context, found)
    return GONE


def _found(call: Call, rule: str) -> Capsule:
    ident = fields.one("capsule", call.path["capsule"], fields.text(1, 255))
    found = call.service.capsules.find(call.context, ident)
    call.allow(rule, found.sandbox)
    return found


def _shown(call: Call, found: Capsule) -> dict[str, Any]:
    policy, context = call.service.policy, call.context
    return capsule_view.shown(
        found,
        call.version,
        policy.hidden(GET, context),
        policy.hidden(CONTAINER, context),
        call.service.clock.now(),
        call.prefix,
    )
