"""What must hold for every route there is, also for those somebody adds tomorrow."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dolium.api.policy import Policy
from dolium.api.route import Route
from dolium.api.routes import ROUTES
from dolium.api.rules import ADMIN, READ, RULES
from tests.control.world import HOST
from tests.stories.cloud import Cloud

GUARDED = [route for route in ROUTES if route.rule]
_ADMINS = {rule.name for rule in RULES if rule.default in (ADMIN, "role:admin")}
LOOKS = [r for r in GUARDED if r.rule in {rule.name for rule in RULES if rule.default == READ}]
OPERATORS = [route for route in GUARDED if route.rule in _ADMINS]
NAMES = {"request_id": "req-1", "host": HOST, "project": "north", "quota_class": "default"}
NAMES |= {"registry": "team", "network": "net-cloud", "image": "busybox", "capsule": "pod"}
"""What stands in paths, besides a container's own."""
OWNED = [r for r in GUARDED if "{registry}" in r.path or "{capsule}" in r.path]
POD = {
    "kind": "capsule",
    "metadata": {"name": NAMES["capsule"]},
    "spec": {"containers": [{"image": "cirros"}]},
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/containers": {"image": "cirros"},
    "/v1/registries": {"registry": {"domain": "d.io"}},
    "/v1/capsules": {"template": POD},
}
"""What creates something, by path."""
ONE = [route for route in GUARDED if "{container}" in route.path]


def _id(route: Route) -> str:
    return f"{route.verb} {route.path}"


def _path(route: Route, container: str, **names: str) -> str:
    path = route.path.format(container=container, **NAMES | names)
    queries = {"/rename": "?name=other", "/events": "?timeout=0"}
    return path + next((query for end, query in queries.items() if path.endswith(end)), "")


def _version(route: Route) -> str:
    return f"1.{route.until}"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def running(cloud: Cloud) -> str:
    reply = cloud.call("POST", "/v1/containers?run=true", body={"image": "cirros", "name": "web"})
    cloud.host.look()
    body = {"registry": {"domain": "north.example", "name": NAMES["registry"]}}
    assert cloud.call("POST", "/v1/registries", body=body).status == 201
    assert cloud.call("POST", "/v1/capsules", body=BODIES["/v1/capsules"]).status == 202
    return str(reply.json["uuid"])


def test_this_file_knows_how_to_fill_every_path() -> None:
    variables = {name for route in ROUTES for name in re.findall("{(.*?)}", route.path)}
    assert variables == {"container", *NAMES}


@pytest.mark.parametrize("route", GUARDED, ids=_id)
def test_nothing_is_told_without_a_token(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    reply = cloud.call(route.verb, _path(route, uuid), who=None, version=_version(route), body={})
    assert reply.status == 401


@pytest.mark.parametrize("route", ONE, ids=_id)
def test_another_projects_container_does_not_exist(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    before = cloud.call("GET", f"/v1/containers/{uuid}").raw
    for ident in (uuid, "web"):
        reply = cloud.call(
            route.verb, _path(route, ident), who="bob", version=_version(route), body={}
        )
        assert reply.status == 404
        assert reply.json["errors"][0]["code"] == "container.container-not-found"
    assert cloud.call("GET", f"/v1/containers/{uuid}").raw == before
    assert len(cloud.call("GET", f"/v1/containers/{uuid}/container_actions").json) == 1


@pytest.mark.parametrize("route", OWNED, ids=_id)
def test_another_projects_things_do_not_exist(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    body = BODIES["/v1/registries"]
    reply = cloud.call(route.verb, _path(route, uuid), who="bob", body=body)
    assert reply.status == 404
    assert "north.example" in cloud.call("GET", "/v1/registries/team").raw.decode()
    assert cloud.call("GET", "/v1/capsules/pod").json["status"] == "Creating"


@pytest.mark.parametrize("route", [r for r in GUARDED if r not in ONE + OWNED + OPERATORS], ids=_id)
def test_no_collection_shows_another_projects_things(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    body = BODIES[route.path] if route.verb == "POST" else None
    reply = cloud.call(route.verb, _path(route, uuid, project="south"), who="bob", body=body)
    assert reply.status < 300
    assert uuid not in reply.raw.decode()
    assert "north" not in reply.raw.decode()


@pytest.mark.parametrize("route", [r for r in GUARDED if "{project}" in r.path], ids=_id)
def test_another_project_is_not_ones_own(cloud: Cloud, route: Route) -> None:
    reply = cloud.call(route.verb, _path(route, ""), who="bob", version=_version(route), body={})
    assert reply.status == 403


@pytest.mark.parametrize("route", GUARDED, ids=_id)
def test_a_reader_may_look_and_nothing_else(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    reply = cloud.call(route.verb, _path(route, uuid), who="rita", version=_version(route), body={})
    if route in LOOKS:
        assert reply.status in (200, 404)  # 404: there is no action req-1
    else:
        assert reply.status == 403
        assert reply.json["errors"][0]["code"] == "container.policy-not-authorized"


@pytest.mark.parametrize("route", OPERATORS, ids=_id)
def test_what_is_for_operators_is_refused_to_others(cloud: Cloud, route: Route) -> None:
    path = _path(route, "web")
    if "/services" in path:
        path += f"?host={HOST}&binary=zun-compute&forced_down=True"
    reply = cloud.call(route.verb, path, version=_version(route))
    assert reply.status == 403
    reply = cloud.call(route.verb, path, version=_version(route), who="root")
    assert reply.status in (200, 400, 404)  # as far as the policy is concerned


@pytest.mark.parametrize("route", GUARDED, ids=_id)
def test_the_policy_knows_the_rule(route: Route) -> None:
    assert Policy().known(route.rule)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.until < 40], ids=_id)
def test_what_ended_is_not_there_any_more(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    reply = cloud.call(route.verb, _path(route, uuid), version=f"1.{route.until + 1}", body={})
    assert reply.status == 406


@pytest.mark.parametrize("route", ROUTES, ids=_id)
def test_every_answer_below_v1_names_its_version_and_request(cloud: Cloud, route: Route) -> None:
    uuid = running(cloud)
    reply = cloud.call(route.verb, _path(route, uuid), version=_version(route), body={})
    assert re.fullmatch(
        r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reply.headers["x-openstack-request-id"]
    )
    if route.path.startswith("/v1"):
        assert reply.headers["openstack-api-version"] == f"container {_version(route)}"
