"""Whatever is sent, the answer is never a bug: no input makes a 500."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from dolium import conf
from dolium.api.fields import Schema
from dolium.api.routes import ROUTES
from dolium.api.zun import capsule_template, container_spec
from dolium.api.zun.containers import FILTERS
from tests.stories.cloud import Cloud

FIELDS = sorted(container_spec.creation(conf.Limits()).checks)
PARAMS = sorted(
    {*FILTERS, "limit", "marker", "sort_key", "sort_dir", "all_projects", "force", "stop", "run"}
    | {"timeout", "signal", "name", "stdout", "since", "tail", "command", "interactive", "ps_args"}
    | {"host", "binary", "disabled_reason", "forced_down"}
)

words = st.sampled_from(["", "None", "True", "0", "-1", "1e9", "٣", "²", "a\0b", "%", "{0}", "'"])
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | words
values = st.recursive(
    plain,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(), deeper, max_size=3),
    max_leaves=6,
)
nested = st.dictionaries(
    st.sampled_from(
        ["Name", "MaximumRetryCount", "network", "port", "v4-fixed-ip", "cmd", "80/tcp"]
    ),
    values,
)
bodies = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=3),
    values | nested | st.lists(nested, max_size=2),
    max_size=5,
)


def _some(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Any values for what is known."""
    values_ = values | st.lists(nested, max_size=2)
    return st.fixed_dictionaries({}, optional=dict.fromkeys(schema["properties"], values_))


TEMPLATE = capsule_template.creation(conf.Limits()).checks["template"].schema
METADATA, SPEC = TEMPLATE["properties"]["metadata"], TEMPLATE["properties"]["spec"]
INSIDE = SPEC["properties"]["containers"]["items"]


queries = st.dictionaries(st.sampled_from(PARAMS), st.text(max_size=8) | words, max_size=3)
versions = st.integers(1, 40)

NAMES = dict.fromkeys(
    (
        *("request_id", "host", "project", "quota_class", "registry", "network", "image"),
        "capsule",
    ),
    "some",
)
"""What stands in paths, besides a container's own."""


@functools.cache
def cloud() -> Cloud:
    made = Cloud(quota=conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))
    made.call("POST", "/v1/containers?run=true", body={"image": "cirros", "name": "web"})
    made.host.look()
    return made


@settings(max_examples=150, deadline=None, derandomize=True)
@given(body=bodies, image=values | st.just("cirros"), minor=versions)
def test_no_creation_is_a_bug(body: dict[str, Any], image: Any, minor: int) -> None:
    sent = {"image": image} | body
    reply = cloud().call("POST", "/v1/containers", body=sent, version=f"1.{minor}", who="root")
    assert reply.status in (202, 400, 403, 404)
    if reply.status != 202:
        assert reply.json["errors"][0]["title"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    template=_some(TEMPLATE),
    about=_some(METADATA),
    spec=_some(SPEC),
    container=_some(INSIDE),
    minor=versions,
)
def test_no_capsule_is_a_bug(
    template: dict[str, Any],
    about: dict[str, Any],
    spec: dict[str, Any],
    container: dict[str, Any],
    minor: int,
) -> None:
    whole = {"kind": "capsule", "metadata": about} | template
    whole.setdefault("spec", {"containers": [{"image": "cirros"} | container]} | spec)
    sent = {"template": whole}
    reply = cloud().call("POST", "/v1/capsules", body=sent, version=f"1.{minor}", who="root")
    assert reply.status in (202, 400)
    if reply.status != 202:
        assert reply.json["errors"][0]["title"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    route=st.sampled_from([r for r in ROUTES if r.verb != "DELETE" and r.path != "/v1/events"]),
    query=queries,
    body=st.none() | queries | values,
    minor=versions,
)
def test_no_request_is_a_bug(route: Any, query: dict[str, str], body: Any, minor: int) -> None:
    path = route.path.format(container="web", **NAMES)
    asked = f"{path}?{urlencode(query)}"
    who = "alice" if "{container}" in route.path else "root"
    reply = cloud().call(route.verb, asked, body=body, version=f"1.{minor}", who=who)
    assert reply.status != 500, reply.raw


def test_a_body_that_is_too_deep_is_no_bug() -> None:
    deep = '{"image": ' + "[" * 100_000
    assert cloud().call("POST", "/v1/containers", body=deep, who="root").status == 400


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ident=st.text(min_size=1, max_size=40))
def test_no_name_is_a_bug(ident: str) -> None:
    path = f"/v1/containers/{ident}".encode().decode("latin-1")  # as WSGI has it
    assert cloud().call("GET", path).status in (200, 404)


def test_a_template_in_a_thousand_brackets_is_no_bug() -> None:
    reply = cloud().call("POST", "/v1/capsules", body={"template": "[" * 100_000}, who="root")
    assert reply.status == 400
    assert "'template'" in reply.json["errors"][0]["title"]
