"""All roles in one process on the https link: what each counts, and the lines that one request
leaves in the log of each.
"""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium import conf, errors
from dolium.api import app
from dolium.api.policy import Policy
from dolium.cli import logs, watching
from dolium.control.capsules import Capsules
from dolium.control.cipher import Cipher, new_key
from dolium.control.commits import Commits
from dolium.control.consoles import Consoles
from dolium.control.following import Following
from dolium.control.glance import Glance
from dolium.control.images import Images
from dolium.control.networks import Networks
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.control.watching import Watching
from dolium.metrics.registry import Registry
from dolium.model.metric import Source
from tests.control.world import FlatNetwork
from tests.link.ends import eventually, hello
from tests.link.test_agent import HOST, Cloud
from tests.metrics.reading import samples, value
from tests.stories.cloud import PEOPLE, People

ROLES = (Source.API, Source.CONDUCTOR, Source.AGENT, Source.LINK)


class Api:
    """The API on a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, store = cloud, cloud.side.store
        self.registry: Registry = watching.of_store(store, ROLES, cloud.side.clock)
        self.registry.check("conductor", cloud.conductor.check)
        self.registry.read(cloud.side.end.figures)
        watching.agent(self.registry, cloud.agent)
        self._app = app.make(
            cloud.containers,
            Capsules(store, cloud.side.clock, conf.Quota()),
            cloud.questions,
            Consoles(store, cloud.side.clock, cloud.side.link, "ws://x/"),
            Following(store, cloud.side.clock, cloud.side.link),
            Networks(store, FlatNetwork()),
            Services(store, cloud.side.clock),
            Watching(store, cloud.side.clock),
            Quotas(store, conf.Quota()),
            Registries(store, cloud.side.clock, Cipher([new_key()])),
            Images(store, cloud.side.clock, cloud.side.link),
            Glance(None),
            Commits(store, cloud.side.clock, Glance(None)),
            People(),
            Policy(),
            conf.Config(),
            registry=self.registry,
        )

    def ask(self, verb: str, path: str, body: Any = None) -> tuple[dict[str, str], Any]:
        raw, said = b"" if body is None else json.dumps(body).encode(), list[Any]()
        path, _, query = path.partition("?")
        environ = {
            **{"REQUEST_METHOD": verb, "PATH_INFO": path, "QUERY_STRING": query},
            **{"SERVER_NAME": "x", "SERVER_PORT": "1", "SERVER_PROTOCOL": "HTTP/1.1"},
            **{"wsgi.url_scheme": "http", "wsgi.errors": io.StringIO(), "SCRIPT_NAME": ""},
            **{"HTTP_OPENSTACK_API_VERSION": "container 1.40", "HTTP_X_AUTH_TOKEN": "alice"},
            **{"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(raw))},
            "wsgi.input": io.BytesIO(raw),
        }
        answer = b"".join(self._app(environ, lambda status, headers, _=None: said.append(headers)))
        return {n.lower(): v for n, v in said[0]}, json.loads(answer) if answer else None

    def running(self, name: str) -> tuple[str, str]:
        """A new container's id, and that of the request for it."""
        headers, made = self.ask(
            "POST",
            "/v1/containers?run=true",
            {"image": "busybox", "name": name, "command": ["top"]},
        )
        uuid = str(made["uuid"])
        eventually(lambda: self.ask("GET", f"/v1/containers/{uuid}")[1]["status"] == "Running")
        return uuid, headers["x-openstack-request-id"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    cloud = Cloud(tmp_path)
    yield Api(cloud)
    cloud.stop()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as JSON."""
    held, root = io.StringIO(), logging.getLogger()
    stream = logging.StreamHandler(held)
    stream.setFormatter(logs.Json("", HOST))
    root.addHandler(stream)
    ours, before = logging.getLogger("dolium"), logging.getLogger("dolium").level
    ours.setLevel(logging.DEBUG)
    yield held
    ours.setLevel(before)
    root.removeHandler(stream)


def lines(log: io.StringIO, request_id: str) -> dict[str, list[str]]:
    """What was logged for a request, by logger."""
    found: dict[str, list[str]] = {}
    for line in log.getvalue().splitlines():
        told = json.loads(line)
        if told["request_id"] == request_id:
            found.setdefault(told["logger"], []).append(told["message"])
    return found


def test_one_request_can_be_followed_through_all_roles(api: Api, log: io.StringIO) -> None:
    uuid, request_id = api.running("web")
    eventually(lambda: "dolium.control.reconcile" in lines(log, request_id))
    found = lines(log, request_id)
    assert found["dolium.api.app"] == [
        f"POST /v1/containers: 202, for user {PEOPLE['alice'].user_id}"
    ]
    (placed,) = found["dolium.control.placer"]
    assert placed.startswith(f"container {uuid}: placed on {HOST}")
    assert found["dolium.control.reconcile"] == [f"container {uuid}: create is done"]
    created = f"container {uuid}: created"
    eventually(lambda: created in lines(log, request_id).get("dolium.agent.core", []))
    calls = [line.split()[1] for line in found["dolium.agent.measured"]]
    assert {"pull", "create", "start"} <= set(calls)


def test_a_question_is_followed_to_the_host(api: Api, log: io.StringIO) -> None:
    uuid, _ = api.running("web")
    headers, _ = api.ask("POST", f"/v1/containers/{uuid}/execute?command=true")
    found = lines(log, headers["x-openstack-request-id"])
    assert any("execute" in line for line in found["dolium.agent.measured"])


def test_what_nobody_asked_for_bears_no_request(api: Api, log: io.StringIO) -> None:
    uuid, _ = api.running("web")
    runs = f"container {uuid}: runs"
    api.cloud.agent.core.look(every=True)
    eventually(lambda: runs in log.getvalue())
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["request_id"] for line in told if line["message"] == runs} == {None}


def test_each_role_counts(api: Api) -> None:
    api.running("web")
    registry = api.registry
    found = samples(registry)
    method = {"method": "POST", "route": "/v1/containers", "status": "2xx"}
    assert value(registry, "dolium_api_request_seconds_count", **method) == 1
    assert value(registry, "dolium_placed_total") == 1
    assert (value(registry, "dolium_placing_seconds_count") or 0) >= 1
    eventually(lambda: value(registry, "dolium_agent_passes_total", outcome="done"))
    assert value(registry, "dolium_engine_call_seconds_count", call="create") == 1
    commits = found["dolium_store_commit_seconds_count", ()]
    assert found["dolium_store_jobs_total", ()] >= commits >= 3
    ok = {"server": "link", "result": "ok"}
    assert (value(registry, "dolium_tls_handshakes_total", **ok) or 0) >= 1
    posted = {"call": "post", "result": "ok"}
    eventually(lambda: value(registry, "dolium_link_call_seconds_count", **posted))
    eventually(lambda: value(registry, "dolium_link_polls_waiting") == 1)
    eventually(lambda: value(registry, "dolium_agent_facts_waiting") == 0)
    assert value(registry, "dolium_hosts", state="up") == 1
    assert value(registry, "dolium_waiting_containers") == 0
    assert (value(registry, "dolium_agent_lease_age_seconds") or 0) < 60


def test_errors_of_the_engine_are_counted_by_code(api: Api) -> None:
    api.ask("POST", "/v1/containers?run=true", {"image": "nosuch", "name": "web"})
    failed = {"call": "pull", "code": "dolium.image_missing"}
    eventually(lambda: value(api.registry, "dolium_engine_errors_total", **failed) == 1)


def test_health_follows_the_engine(api: Api) -> None:
    eventually(lambda: api.registry.health()[0])
    api.cloud.engine.crash()
    eventually(lambda: "does not answer" in api.registry.look()["agent"])
    assert {name for name, said in api.registry.look().items() if said == "ok"} == {
        "database",
        "conductor",
    }


def test_who_is_not_let_in_is_counted(api: Api) -> None:
    end = api.cloud.side.end
    with socket.create_connection(("127.0.0.1", end.port), timeout=30) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        failed = {"server": "link", "result": "failed"}
        eventually(lambda: value(api.registry, "dolium_tls_handshakes_total", **failed) == 1)
    with pytest.raises(errors.Untrusted):
        api.cloud.end.control.hello(hello("host2", "boot"))
    refused = {"call": "hello", "result": "refused"}
    assert value(api.registry, "dolium_link_call_seconds_count", **refused) == 1
