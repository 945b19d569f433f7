"""The engines that the conformance suite runs over: the fake, and real ones where they can be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from dolium import errors
from dolium.drivers.engine.base import Engine, Happened, Labels
from dolium.drivers.engine.docker import Docker
from dolium.drivers.engine.fake import Fake
from dolium.drivers.engine.podman import Podman
from dolium.model.container import Seen, Spec, State, engine_name
from tests import engines


@dataclass
class Bench:
    """One engine and a deployment of the test's own."""

    engine: Engine
    daemon: engines.Daemon | None = None
    """The process behind it; None for the fake."""
    deployment: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")

    def labels(self) -> Labels:
        return Labels(deployment=self.deployment, uuid=str(uuid.uuid4()), generation=1)

    def create(self, *command: str, mark: Labels | None = None, **spec: Any) -> Labels:
        """A container, created; returns its labels."""
        labels = mark or self.labels()
        wish = {"image": "busybox", "memory": "64", "command": list(command) or None} | spec
        self.engine.create(self.name(labels), Spec(**wish), (), labels)
        return labels

    def run(self, *command: str, **spec: Any) -> Seen:
        """A container, started."""
        labels = self.create(*command, **spec)
        seen = self.look(labels)
        self.engine.start(seen.handle)
        return self.look(labels)

    def name(self, labels: Labels | Seen) -> str:
        return engine_name(labels.uuid, labels.generation)

    def look(self, labels: Labels | Seen) -> Seen:
        seen = self.engine.look(self.name(labels))
        assert seen is not None
        return seen

    def wait(self, labels: Labels | Seen, state: State) -> Seen:
        engines.wait(lambda: self.look(labels).state is state, f"{labels.uuid} is {state}")
        return self.look(labels)

    def needs(self, capability: str) -> None:
        if capability not in self.engine.can:
            pytest.skip(f"{self.engine.name} does not offer {capability}")

    def inspect(self, seen: Seen) -> dict[str, Any]:
        """The engine's own words; real engines only."""
        assert isinstance(self.engine, Docker)
        return self.engine._client.ask("GET", f"/containers/{seen.handle}/json", dict[str, Any])


def until_closed(stream: Iterator[Happened]) -> Iterator[Happened]:
    """What it tells, until the engine's driver is closed."""
    with suppress(errors.Unanswered):
        yield from stream


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[engines.Daemon]:
    with engines.docker_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[engines.Daemon]:
    with engines.podman_daemon() as daemon:
        yield daemon


def _bench(name: str, request: pytest.FixtureRequest) -> Bench:
    if name == "fake":
        fake = Fake()
        fake.pull("busybox", "always")
        return Bench(fake)
    daemon: engines.Daemon = request.getfixturevalue(f"{name}_engine")
    options = Docker.Options(socket=str(daemon.socket), silent_s=1.0)
    return Bench({"docker": Docker, "podman": Podman}[name](options), daemon)


def _over(bench: Bench) -> None:
    for seen in bench.engine.listing(bench.deployment):
        bench.engine.stop(seen.handle, 0)
        bench.engine.remove(seen.handle)
    for handle in bench.engine.prepared(bench.deployment):
        bench.engine.stop(handle, 0)
        bench.engine.remove(handle)
    bench.engine.close()


@pytest.fixture(
    params=[
        "fake",
        pytest.param("docker", marks=pytest.mark.live),
        pytest.param("podman", marks=pytest.mark.live),
    ]
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Every engine in turn."""
    bench = _bench(request.param, request)
    yield bench
    _over(bench)


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.live),
        pytest.param("podman", marks=pytest.mark.live),
    ]
)
def real(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Every engine that runs real processes."""
    bench = _bench(request.param, request)
    yield bench
    _over(bench)


@pytest.fixture
def docker(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Docker Engine; mark the test live."""
    bench = _bench("docker", request)
    yield bench
    _over(bench)
