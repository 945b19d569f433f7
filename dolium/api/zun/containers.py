"""Containers: create, list, show, change, delete."""

from __future__ import annotations

import msgspec

from dolium import errors
from dolium.api import fields, paging, shapes
from dolium.api.call import GONE, Answer, Call
from dolium.api.fields import Check
from dolium.api.forms import Form
from dolium.api.route import CONTAINER, CONTAINERS, Route
from dolium.api.zun import container_spec, container_view
from dolium.model import record
from dolium.model.container import Status

GET_ONE = "container:get_one"

FILTERS: dict[str, Check] = {
    **dict.fromkeys(("name", "image", "project_id", "user_id", "memory"), fields.text()),
    **dict.fromkeys(("host", "task_state", "status"), fields.text()),
    "auto_remove": fields.toggle,
}

SORTS = frozenset([*FILTERS, "id", "uuid", "created_at", "updated_at", "started_at"])

_INTERNAL = dict.fromkeys(("resource_url", "expand"), fields.anything)
"""Accepted and without effect, as some clients send them."""

PAGE = paging.form(SORTS, FILTERS | _INTERNAL)
RUN = Form(checks={"run": fields.toggle}, refusal=errors.InvalidQuery)
DELETION = Form(
    checks=dict.fromkeys(("force", "stop", "all_projects"), fields.toggle),
    refusal=errors.InvalidQuery,
    since={"force": 7, "stop": 12},
    empty=(None, False),
)


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
    container_spec.allowed(call.given, call.allow)
    spec = container_spec.wish(call.given, call.version, call.service.config.limits)
    for net in spec.nets:
        default = call.service.networks.default(call.context.project_id)
        if net["network"] not in (default.uuid, default.name):
            raise errors.NotFound(kind="Neutron network", id=net["network"])
    if spec.registry_id:
        found = call.service.registries.of_project(call.context.project_id, spec.registry_id)
        spec = msgspec.structs.replace(spec, registry_id=found.uuid)
    if spec.image_driver == "glance":
        spec = msgspec.structs.replace(spec, pin=call.service.glance.pin(call.token, spec.image))
    name, run = call.given.get("name"), call.asked.get("run", False)
    row = call.service.containers.create(call.context, name, spec, run)
    return shown(call, row, 202, location=True)


def show(call: Call) -> Answer:
    """`GET /v1/containers/{container}`."""
    return shown(call, call.row, 200)


def update(call: Call) -> Answer:
    """`PATCH /v1/containers/{container}`."""
    changed = container_spec.changes(call.given)
    row = call.service.containers.patch(call.context, call.row, **changed)
    return shown(call, row, 200)


def delete(call: Call) -> Answer:
    """`DELETE /v1/containers/{container}?force=&stop=`."""
    asked = call.asked
    if asked.get("all_projects"):
        call.allow("container:delete_all_projects")
    force, stop = asked.get("force", False), asked.get("stop", False)
    if force:
        call.allow("container:delete_force", call.row)
    if stop and call.row.status == Status.RUNNING:
        call.allow("container:stop", call.row)
    call.service.containers.delete(call.context, call.row, force=force, stop=stop)
    return GONE


def list_(call: Call) -> Answer:
    """`GET /v1/containers`."""
    service = call.service
    hidden = service.policy.hidden(GET_ONE, call.context)
    query = paging.query(call, FILTERS)
    if query.all_projects:
        call.allow("container:get_all_all_projects")
    for name in (*query.filters, query.sort_key):
        if name in hidden:
            raise errors.Forbidden(rule=f"{GET_ONE}:{name}")
    rows = service.containers.list(call.context, query)
    more = paging.following(call, "/v1/containers", query, [row.uuid for row in rows])
    return Answer(200, container_view.page(rows, hidden, service.clock.now(), more))


ROUTES = (
    Route(
        "POST",
        CONTAINERS,
        create,
        "container:create",
        query=RUN,
        body=container_spec.creation,
        told=shapes.Container,
        status=202,
    ),
    Route("GET", CONTAINERS, list_, "container:get_all", query=PAGE, told=shapes.Containers),
    Route("GET", CONTAINER, show, "container:get_one", told=shapes.Container),
    Route(
        "PATCH",
        CONTAINER,
        update,
        "container:update",
        body=container_spec.change,
        told=shapes.Container,
    ),
    Route("DELETE", CONTAINER, delete, "container:delete", query=DELETION, status=204),
)
