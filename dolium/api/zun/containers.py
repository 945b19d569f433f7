"""Containers: create, list, show, change, delete."""

from __future__ import annotations

import msgspec

from dolium import errors
from dolium.api import fields, paging, versions
from dolium.api.call import GONE, Answer, Call
from dolium.api.zun import container_view
from dolium.model import record
from dolium.model.container import Status

GET_ONE = "container:get_one"

FILTERS = (
    *("name", "image", "project_id", "user_id", "memory"),
    *("host", "task_state", "status", "auto_remove"),
)

SORTS = frozenset([*FILTERS, "id", "uuid", "created_at", "updated_at", "started_at"])

_PAGING = frozenset(["limit", "marker", "sort_key", "sort_dir", "all_projects"])
_INTERNAL = frozenset(["resource_url", "expand"])
"""Accepted and without effect, as some clients send them."""

FORCE_SINCE, STOP_SINCE = 7, 12


def shown(call: Call, row: record.Container, status: int, location: bool = False) -> Answer:
    """The answer that is a container with its links."""
    service, prefix = call.service, call.prefix
    hidden = service.policy.hidden(GET_ONE, call.context)
    body = container_view.one(row, hidden, service.clock.now(), prefix)
    return Answer(status, body, f"{prefix}/v1/containers/{row.uuid}" if location else None)


def create(call: Call) -> Answer:
    """`POST /v1/containers?run=`."""
    if not call.context.project_id:
        raise errors.Forbidden(rule="container:create")
    run = _query(call, {"run"}).get("run", False)
    name, spec = call.service.body.create(call.new(), call.version, call.allow)
    for net in spec.nets:
        default = call.service.networks.default(call.context.project_id)
        if net["network"] not in (default.uuid, default.name):
            raise errors.NotFound(kind="Neutron network", id=net["network"])
    if spec.registry_id:
        found = call.service.registries.of_project(call.context.project_id, spec.registry_id)
        spec = msgspec.structs.replace(spec, registry_id=found.uuid)
    if spec.image_driver == "glance":
        spec = msgspec.structs.replace(spec, pin=call.service.glance.pin(call.token, spec.image))
    row = call.service.containers.create(call.context, name, spec, run)
    return shown(call, row, 202, location=True)


def show(call: Call) -> Answer:
    """`GET /v1/containers/{container}`."""
    return shown(call, call.row, 200)


def update(call: Call) -> Answer:
    """`PATCH /v1/containers/{container}`."""
    changed = call.service.body.patch(call.body())
    row = call.service.containers.patch(call.context, call.row, **changed)
    return shown(call, row, 200)


def delete(call: Call) -> Answer:
    """`DELETE /v1/containers/{container}?force=&stop=`."""
    asked = _query(call, {"force", "stop", "all_projects"})
    if asked.get("all_projects"):
        call.allow("container:delete_all_projects")
    force, stop = asked.get("force", False), asked.get("stop", False)
    if force:
        _since("force", FORCE_SINCE, call.version)
        call.allow("container:delete_force", call.row)
    if stop:
        _since("stop", STOP_SINCE, call.version)
        if call.row.status == Status.RUNNING:
            call.allow("container:stop", call.row)
    call.service.containers.delete(call.context, call.row, force=force, stop=stop)
    return GONE


def list_(call: Call) -> Answer:
    """`GET /v1/containers`."""
    given = call.query()
    unknown = given.keys() - _PAGING - _INTERNAL - set(FILTERS)
    if unknown:
        raise errors.UnknownParameter(names=", ".join(sorted(unknown)))
    service = call.service
    hidden = service.policy.hidden(GET_ONE, call.context)
    query = paging.read(call, given, SORTS, FILTERS)
    if (kept := query.filters.get("auto_remove")) is not None:
        query.filters["auto_remove"] = fields.one(
            "auto_remove", kept, fields.toggle, errors.InvalidQuery
        )
    if query.all_projects:
        call.allow("container:get_all_all_projects")
    for name in (*query.filters, query.sort_key):
        if name in hidden:
            raise errors.Forbidden(rule=f"{GET_ONE}:{name}")
    rows = service.containers.list(call.context, query)
    more = paging.following(call, "/v1/containers", query, [row.uuid for row in rows])
    return Answer(200, container_view.page(rows, hidden, service.clock.now(), more))


def _query(call: Call, known: set[str]) -> dict[str, bool]:
    given = call.query()
    unknown = given.keys() - known
    if unknown:
        raise errors.Unexpected(fields=", ".join(repr(name) for name in sorted(unknown)))
    return {
        name: fields.one(name, value, fields.toggle, errors.InvalidQuery)
        for name, value in given.items()
    }


def _since(param: str, minor: int, version: int) -> None:
    if version < minor:
        raise errors.TooNew(
            param=param, version=versions.named(version), since=versions.named(minor)
        )
