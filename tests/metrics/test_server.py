"""The small server beside a role."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli import watching
from dolium.metrics.registry import FRESH_S, Registry
from dolium.metrics.server import Watch
from dolium.model.metric import PASSES, Meter, Source
from tests.control.world import TickingClock


class Served:
    """A registry and its server."""

    def __init__(self) -> None:
        self.clock, self.wrong = TickingClock(), list[str]()
        self.registry = Registry(Meter(), (Source.AGENT,), self.clock)
        self.registry.check("agent", lambda: self.wrong[0] if self.wrong else None)
        self.watch = Watch("127.0.0.1", 0, self.registry)
        self.watch.start()

    def ask(self, path: str, verb: str = "GET") -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.watch.port, timeout=30)
        connection.request(verb, path)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        return reply.status, reply.headers["Content-Type"], body


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.watch.stop()


def test_figures_are_served(served: Served) -> None:
    served.registry.meter.count(PASSES, "done")
    status, media, body = served.ask("/metrics")
    assert (status, media) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'dolium_agent_passes_total{outcome="done"} 1.0\n' in body


def test_health_is_a_status(served: Served) -> None:
    status, media, body = served.ask("/healthcheck")
    assert (status, media) == (200, "application/json")
    assert json.loads(body) == {"healthy": True, "parts": {"agent": "ok"}}
    served.wrong.append("The control side does not know this run of the agent yet")
    served.clock.time += FRESH_S
    status, _, body = served.ask("/healthcheck")
    assert (status, json.loads(body)["parts"]["agent"]) == (503, served.wrong[0])


def test_nothing_else_is(served: Served) -> None:
    assert served.ask("/")[0] == 404
    assert served.ask("/metrics", "POST")[0] == 405
    assert served.ask("/metrics", "HEAD")[::2] == (200, b"")


def test_it_is_off_unless_a_port_is_configured() -> None:
    registry = Registry(Meter(), ())
    for role in ("api", "conductor", "agent"):
        assert watching.beside(conf.Config(), role, registry) is None
        metrics = options(role, 9520)
        assert watching.beside(conf.Config(metrics=metrics), role, registry) is not None


def options(role: str, port: int, **more: str) -> conf.Metrics:
    return conf.Metrics(**{f"{role}_port": port}, **more)  # type: ignore[arg-type]


def test_others_get_nothing_in_plain_text(tmp_path: Path) -> None:
    registry = Registry(Meter(), ())
    for more in ({}, {"tls_cert": str(tmp_path / "c")}):
        metrics = options("agent", 9522, listen="192.0.2.1", **more)
        with pytest.raises(errors.StartError, match="tls_key"):
            watching.beside(conf.Config(metrics=metrics), "agent", registry)


def test_an_agent_loads_neither_sql_nor_prometheus_for_it() -> None:
    source = "import dolium.cli.watching, dolium.agent.measured, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    heavy = ("sqlalchemy", "prometheus_client", "falcon", "cheroot")
    assert not set(heavy) & set(done.stdout.split())
