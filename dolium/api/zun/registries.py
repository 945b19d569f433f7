"""Registries: create, list, show, change, delete. A password comes in and never goes out."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging
from dolium.api.call import GONE, Answer, Call
from dolium.model.registry import HIDDEN, Registry

FILTERS = ("name", "domain", "username", "project_id", "user_id")

SORTS = frozenset([*FILTERS, "id", "uuid", "created_at", "updated_at"])

GET_ONE = "registry:get_one"

_PAGING = frozenset(["limit", "marker", "sort_key", "sort_dir", "all_projects"])
_LONGEST_PASSWORD = 8192
"""Some clouds' passwords are signed documents."""

_encode = msgspec.json.encode


def _domain(value: Any) -> Any:
    checked = fields.text(1, 255, null=False)(value)
    if "://" in checked or any(each.isspace() for each in checked):
        raise fields.Wrong(f"{value!r} is no domain, such as 'quay.io' or 'registry.example:5000'")
    return checked.rstrip("/")


def _password(value: Any) -> Any:
    """Unlike other fields it is not repeated when it is wrong."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_PASSWORD or "\0" in value:
        why = f"It is not a string of 1 to {_LONGEST_PASSWORD} characters"
        raise fields.Wrong(why, "password", HIDDEN)
    return value


CHECKS: dict[str, fields.Check] = {
    "name": fields.text(2, 255, r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", null=False),
    "domain": _domain,
    "username": fields.text(1, 255, null=False),
    "password": _password,
}


def create(call: Call) -> Answer:
    """`POST /v1/registries`."""
    if not call.context.project_id:
        raise errors.Forbidden(rule="registry:create")
    given = fields.read(_registry(call.new()), CHECKS, required=["domain"])
    row = call.service.registries.create(call.context, given)
    return _shown(call, row, 201, location=f"{call.prefix}/v1/registries/{row.uuid}")


def list_(call: Call) -> Answer:
    """`GET /v1/registries`."""
    given = call.query()
    unknown = given.keys() - _PAGING - set(FILTERS)
    if unknown:
        raise errors.UnknownParameter(names=", ".join(sorted(unknown)))
    query = paging.read(call, given, SORTS, FILTERS)
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
    given = fields.read(_registry(call.body()), CHECKS)
    return _shown(call, call.service.registries.update(row, given), 200)


def delete(call: Call) -> Answer:
    """`DELETE /v1/registries/{registry}`."""
    call.service.registries.delete(_found(call, "registry:delete"))
    return GONE


def _found(call: Call, rule: str) -> Registry:
    ident = fields.one("registry", call.path["registry"], fields.text(1, 255))
    row = call.service.registries.find(call.context, ident)
    call.allow(rule, project_id=row.project_id)
    return row


def _registry(body: dict[str, Any]) -> dict[str, Any]:
    """What the body holds under its one name."""
    given = fields.read(body, {"registry": lambda value: value}, required=["registry"])["registry"]
    if not isinstance(given, dict):  # whatever it is may have a password in it
        raise errors.Invalid(field="registry", why="It is not of type 'object'")
    return given


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
