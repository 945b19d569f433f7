"""Registries: create, list, show, change, delete. A password comes in and never goes out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging, shapes
from dolium.api.call import GONE, Answer, Call
from dolium.api.fields import Check
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.model.registry import HIDDEN, Registry

FILTERS = ("name", "domain", "username", "project_id", "user_id")

SORTS = frozenset([*FILTERS, "id", "uuid", "created_at", "updated_at"])

GET_ONE = "registry:get_one"

_LONGEST_PASSWORD = 8192
"""Some clouds' passwords are signed documents."""

_encode = msgspec.json.encode


def _domain(value: str) -> str:
    if "://" in value or any(each.isspace() for each in value):
        raise fields.Wrong(f"{value!r} is no domain, such as 'quay.io' or 'registry.example:5000'")
    return value.rstrip("/")


def _password(value: Any) -> Any:
    """Unlike other fields it is not repeated when it is wrong."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_PASSWORD or "\0" in value:
        why = f"It is not a string of 1 to {_LONGEST_PASSWORD} characters"
        raise fields.Wrong(why, "password", HIDDEN)
    return value


CHECKS: dict[str, Check] = {
    "name": fields.text(2, 255, r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", null=False),
    "domain": fields.text(1, 255, null=False).then(_domain),
    "username": fields.text(1, 255, null=False),
    "password": Check(
        _password, {"type": "string", "minLength": 1, "maxLength": _LONGEST_PASSWORD}
    ),
}


def _wrapped(required: Collection[str]) -> Form:
    inner = fields.record(CHECKS, required)

    def check(value: Any) -> Any:
        try:
            return inner(value)
        except fields.Wrong as wrong:
            if wrong.field:
                raise
            # Whatever it is may have a password in it.
            why = str(wrong) if isinstance(value, dict) else "It is not of type 'object'"
            raise fields.Wrong(why, "registry", HIDDEN) from None

    return Form(checks={"registry": Check(check, inner.schema)}, required=("registry",))


PAGE = paging.form(SORTS, dict.fromkeys(FILTERS, fields.text()))
CREATION = _wrapped(["domain"])
CHANGE = _wrapped([])


def create(call: Call) -> Answer:
    """`POST /v1/registries`."""
    if not call.context.project_id:
        raise errors.Forbidden(rule="registry:create")
    row = call.service.registries.create(call.context, call.given["registry"])
    return _shown(call, row, 201, location=f"{call.prefix}/v1/registries/{row.uuid}")


def list_(call: Call) -> Answer:
    """`GET /v1/registries`."""
    query = paging.query(call, FILTERS)
    if query.all_projects:
        call.allow("registry:get_all_all_projects")
    rows = call.service.registries.list(call.context, query)
    hidden = call.service.policy.hidden(GET_ONE, call.context)
    more = paging.following(call, "/v1/registries", query, [row.uuid for row in rows])
    return Answer(200, _encode({"registries": [_one(row, hidden) for row in rows], "next": more}))


def show(call: Call) -> Answer:
    """`GET /v1/registries/{registry}`, by id or name."""
    return _shown(call, _found(call, "registry:get_one"), 200)


def update(call: Call) -> Answer:
    """`PATCH /v1/registries/{registry}`."""
    row = _found(call, "registry:update")
    return _shown(call, call.service.registries.update(row, call.given["registry"]), 200)


def delete(call: Call) -> Answer:
    """`DELETE /v1/registries/{registry}`."""
    call.service.registries.delete(_found(call, "registry:delete"))
    return GONE


def _found(call: Call, rule: str) -> Registry:
    ident = fields.one("registry", call.path["registry"], fields.text(1, 255))
    row = call.service.registries.find(call.context, ident)
    call.allow(rule, project_id=row.project_id)
    return row


def _shown(call: Call, row: Registry, status: int, location: str | None = None) -> Answer:
    path = f"registries/{row.uuid}"
    links = [
        {"href": f"{call.prefix}/v1/{path}", "rel": "self"},
        {"href": f"{call.prefix}/{path}", "rel": "bookmark"},
    ]
    told = _one(row, call.service.policy.hidden(GET_ONE, call.context))
    return Answer(
        status, _encode({"registry": {"uuid": row.uuid, "links": links} | told}), location
    )


def _one(row: Registry, hidden: frozenset[str]) -> dict[str, Any]:
    told = {
        "uuid": row.uuid,
        "name": row.name,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "domain": row.domain,
        "username": row.username,
        "password": HIDDEN,
    }
    return {name: value for name, value in told.items() if name not in hidden}


_REGISTRIES = "/v1/registries"
_REGISTRY = "/v1/registries/{registry}"

ROUTES = (
    Route(
        "POST",
        _REGISTRIES,
        create,
        "registry:create",
        body=CREATION,
        told=shapes.Registry,
        status=201,
    ),
    Route("GET", _REGISTRIES, list_, "registry:get_all", query=PAGE, told=shapes.Registries),
    Route("GET", _REGISTRY, show, "registry:get_one", told=shapes.Registry),
    Route("PATCH", _REGISTRY, update, "registry:update", body=CHANGE, told=shapes.Registry),
    Route("DELETE", _REGISTRY, delete, "registry:delete", status=204),
)
