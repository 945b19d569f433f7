"""Capsules: create, list, show, delete."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging, shapes
from dolium.api.call import GONE, Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.api.zun import capsule_template, capsule_view
from dolium.api.zun.containers import GET_ONE as CONTAINER
from dolium.control.parts import Capsule

GET = "capsule:get"

SORTS = frozenset(
    [
        *("id", "uuid", "name", "project_id", "user_id", "memory", "host"),
        *("created_at", "updated_at"),
    ]
)

PAGE = paging.form(SORTS, others=None)
DELETION = Form(checks={"all_projects": fields.toggle}, refusal=errors.InvalidQuery)

_encode = msgspec.json.encode


def create(call: Call) -> Answer:
    """`POST /v1/capsules`."""
    context, service = call.context, call.service
    if not context.project_id:
        raise errors.Forbidden(rule="capsule:create")

    template = capsule_template.wish(
        call.given["template"],
        call.version,
        service.config.limits,
        may_choose_pull=service.policy.allows(
            "container:create:image_pull_policy", context, context.project_id, context.user_id
        ),
    )
    found = service.capsules.create(context, template)
    location = f"{call.prefix}/v1/capsules/{found.sandbox.uuid}"
    return Answer(202, _encode(_shown(call, found)), location)


def list_(call: Call) -> Answer:
    """`GET /v1/capsules`; what it does not know of the query it ignores, as Zun does."""
    query = paging.query(call)
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
    if call.asked.get("all_projects"):
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


_CAPSULES = "/v1/capsules"
_CAPSULE = "/v1/capsules/{capsule}"

ROUTES = (
    Route(
        "POST",
        _CAPSULES,
        create,
        "capsule:create",
        body=capsule_template.creation,
        told=shapes.Capsule,
        status=202,
    ),
    Route("GET", _CAPSULES, list_, "capsule:get_all", query=PAGE, told=shapes.Capsules),
    Route("GET", _CAPSULE, show, "capsule:get", told=shapes.Capsule),
    Route("DELETE", _CAPSULE, delete, "capsule:delete", query=DELETION, status=204),
)
