"""The whole API as an OpenAPI 3.1 document, made of the routes that serve it.

What a request may give comes from the checks that read it (api/forms.py), what is answered from
api/shapes.py. `x-openstack` says since and until which microversion something is there, as
OpenStack's own descriptions do; the document describes microversion 1.40.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import dolium
from dolium import conf
from dolium.api import shapes, versions
from dolium.api.fields import Schema, properties
from dolium.api.forms import Form
from dolium.api.route import Route

_JSON = "application/json"
_VERSION = "OpenStack-API-Version"
_TOKEN = {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}


def document(routes: Iterable[Route], limits: conf.Limits) -> dict[str, Any]:
    """The description; limits: bounds of what may be asked for."""
    made = [route.within(limits) for route in routes]
    kinds = [route.told for route in made if route.told is not None]
    told, components = msgspec.json.schema_components(
        [*kinds, shapes.Faults, shapes.Unauthorized], ref_template="#/components/schemas/{name}"
    )
    answers = iter(told)
    paths: dict[str, Any] = {}
    for route in made:
        answer = {"type": "null"} if route.told is None else next(answers)
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dolium container API",
            "version": versions.named(versions.HIGH),
            "description": f"Containers of an OpenStack cloud, as Zun speaks it. Served by Dolium "
            f"{dolium.__version__}. Without the header {_VERSION} a request is of microversion "
            f"{versions.named(versions.LOW)}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": {"version": _version()},
            "responses": {
                "Refused": _response("Why not", (_JSON,), next(answers)),
                "Unauthorized": _response("No valid token", (_JSON,), next(answers)),
            },
            "securitySchemes": {"token": _TOKEN},
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": _VERSION,
        "in": "header",
        "description": f"`container 1.N`, up to {versions.named(versions.HIGH)}",
        "schema": {
            "type": "string",
            "default": f"container {versions.named(versions.LOW)}",
            "examples": [f"container {versions.named(versions.HIGH)}"],
        },
    }


def _operation(route: Route, answer: Schema) -> dict[str, Any]:
    resource = route.path.removeprefix("/v1").strip("/").partition("/")[0] or "root"
    module, name = route.answer.__module__.rpartition(".")[2], route.answer.__name__.strip("_")
    told: dict[str, Any] = {
        "operationId": f"{module}.{name}",
        "tags": [resource],
        "summary": name.replace("_", " ").capitalize(),
        "parameters": _parameters(route),
    }
    if said := _said(route):
        told["description"] = said
    if body := _body(route):
        told["requestBody"] = body
    told["responses"] = _responses(route, answer)
    if route.rule:
        told |= {"security": [{"token": []}], "x-policy": route.rule}
    if span := _span(route):
        told["x-openstack"] = span
    if route.until < versions.HIGH:
        told["deprecated"] = True
    return told


def _said(route: Route) -> str:
    """What a handler's docstring says after naming its route."""
    text = " ".join((route.answer.__doc__ or "").split())
    text = re.sub("^`[^`]*`[:;,.]? ?", "", text)
    return text[:1].upper() + text[1:]


def _span(route: Route) -> dict[str, str]:
    span = {}
    if route.since > versions.LOW:
        span["min-ver"] = versions.named(route.since)
    if route.until < versions.HIGH:
        span["max-ver"] = versions.named(route.until)
    return span


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall("{(.*?)}", route.path)
    ]
    if isinstance(route.query, Form):
        found += _queries(route.query, route.query.required)
    if isinstance(route.params, Form):
        # One that must be given may be in the body, where there is one.
        found += _queries(route.params, () if _has_body(route) else route.params.required)
    if route.path.startswith("/v1/"):
        found.append(_refer("parameters/version"))
    return found


def _queries(form: Form, required: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query"}
        | ({"required": True} if name in required else {})
        | {"schema": check.schema}
        | _introduced(form, name)
        for name, check in form.checks.items()
    ]


def _introduced(form: Form, name: str) -> dict[str, Any]:
    since = form.since.get(name)
    if name in form.older and form.older[name][1] is None:
        since = form.older[name][0]
    return {"x-openstack": {"min-ver": versions.named(since)}} if since else {}


def _has_body(route: Route) -> bool:
    return bool(isinstance(route.params, Form) and route.params.checks and route.verb != "GET")


def _body(route: Route) -> dict[str, Any] | None:
    if isinstance(route.body, Form):
        return {"required": True, "content": {_JSON: {"schema": _schema(route.body)}}}
    if isinstance(route.params, Form) and _has_body(route):
        schema = _schema(route.params)
        schema.pop("required", None)
        kinds = (_JSON, "application/x-www-form-urlencoded")
        return {
            "description": "Instead of parameters of the query",
            "content": {kind: {"schema": schema} for kind in kinds},
        }
    return None


def _schema(form: Form) -> Schema:
    told: Schema = {"type": "object"}
    told |= properties(form.checks, form.required, more=form.others is None)
    told["properties"] = {
        name: schema | _introduced(form, name) for name, schema in told["properties"].items()
    }
    return told


def _responses(route: Route, answer: Schema) -> dict[str, Any]:
    if route.status == 204:
        done: dict[str, Any] = {"description": "Done"}
    else:
        done = _response("Accepted" if route.status == 202 else "Done", route.media, answer)
    found: dict[str, Any] = {str(route.status): done, "4XX": _refer("responses/Refused")}
    if not route.rule:  # such as 503 of a healthcheck
        return found | {"5XX": done}
    return found | {"401": _refer("responses/Unauthorized"), "5XX": _refer("responses/Refused")}


def _refer(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{name}"}


def _response(about: str, media: Iterable[str], schema: Schema) -> dict[str, Any]:
    return {"description": about, "content": {each: {"schema": schema} for each in media}}
