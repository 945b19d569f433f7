"""The Docker driver against an engine that does what real ones rarely do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium import errors
from dolium.drivers.engine import docker_bodies as bodies
from dolium.drivers.engine.base import Labels, Plug
from dolium.drivers.engine.docker import Docker
from dolium.model.container import Spec
from dolium.model.network import FixedIp, Network, Port
from tests.drivers.engine.stub import Handler, Stub, stub

LABELS = Labels(deployment="d", uuid="u", generation=1)
SPEC = Spec(image="busybox")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Stub]:
    with stub(tmp_path, lambda handler: handler.say(500)) as server:
        yield server


@pytest.fixture
def engine(server: Stub) -> Iterator[Docker]:
    engine = Docker(Docker.Options(socket=server.path))
    yield engine
    engine.close()


class Script:
    """Answers by the beginning of `METHOD path`; what is not in it gets an empty 200."""

    def __init__(self, **_: Any) -> None:
        self.lines: dict[str, tuple[int, Any]] = {}

    def __call__(self, handler: Handler) -> None:
        asked = f"{handler.command} {handler.path.removeprefix('/v1.41')}"
        for start, (status, body) in self.lines.items():
            if asked.startswith(start):
                if status == 0:
                    handler.hang_up()
                else:
                    handler.say(status, json.dumps(body).encode())
                return
        handler.say(200, b"{}")


def plug(number: int) -> Plug:
    network = Network(uuid=f"n{number}", project_id="p", name="n", driver="bridge", subnets=())
    ip = FixedIp(subnet_id="s", version=4, address=f"10.0.{number}.2", prefix=24)
    port = Port(
        uuid=f"p{number}", network_uuid=network.uuid, container_uuid="u", mac="", fixed_ips=(ip,)
    )
    return Plug(port=port, network=network, token="t", aliases=("web",))


@pytest.mark.parametrize(
    ("status", "error", "removed"),
    [(403, errors.Refused, True), (404, errors.Absent, True), (0, errors.Unanswered, False)],
)
def test_only_a_definite_failure_is_taken_back(
    engine: Docker, server: Stub, status: int, error: type[errors.Error], removed: bool
) -> None:
    server.answer = script = Script()
    script.lines = {
        "POST /containers/create": (201, {"Id": "abc"}),
        "POST /networks/dolium-n2/connect": (status, {"message": "no such network: n2"}),
    }
    with pytest.raises(error):
        engine.create("dolium-u-1", SPEC, (plug(1), plug(2)), LABELS)
    assert any(asked.startswith("DELETE") for asked in server.asked) is removed


def test_a_container_that_vanishes_while_it_is_adopted(engine: Docker, server: Stub) -> None:
    server.answer = script = Script()
    script.lines = {
        "POST /containers/create": (409, {"message": 'Conflict. The name "/x" is already in use'}),
        "GET /containers/dolium-u-1/json": (404, {"message": "No such container: dolium-u-1"}),
    }
    with pytest.raises(errors.Unanswered, match="coming or going"):
        engine.create("dolium-u-1", SPEC, (), LABELS)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (409, "removal of container abc is already in progress"),
        (500, "driver overlay2 failed to remove root filesystem: device or resource busy"),
    ],
)
def test_a_remove_that_has_to_be_repeated(
    engine: Docker, server: Stub, status: int, message: str
) -> None:
    server.answer = script = Script()
    script.lines = {"DELETE": (status, {"message": message})}
    with pytest.raises(errors.Unanswered):
        engine.remove("abc")


def test_newer_engines_refuse_a_missing_command(engine: Docker, server: Stub) -> None:
    missing = 'OCI runtime exec failed: exec failed: exec: "x": executable file not found in $PATH'
    server.answer = script = Script()
    script.lines = {
        "POST /containers/abc/exec": (201, {"Id": "e"}),
        "POST /exec/e/start": (400, {"message": missing}),
    }
    done = engine.execute("abc", ["x"], 5)
    assert (done.exit_code, b"'x'" in done.output) == (126, True)


def test_containers_of_others_are_not_ours(engine: Docker, server: Stub) -> None:
    foreign = {
        "Id": "abc",
        "State": {"Status": "running"},
        "Config": {"Labels": {"org.dolium.uuid": "u"}},
        "NetworkSettings": {"Networks": None},
    }
    server.answer = script = Script()
    script.lines = {"GET /containers/json": (200, [{"Id": "abc", "State": "running"}])} | {
        "GET /containers/": (200, foreign)
    }
    assert engine.look("dolium-u-1") is None
    assert engine.listing("d") == []


# --- bodies ----------------------------------------------------------------------------------


def body(spec: Spec, *plugs: Plug, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"pids_limit": 512, "runtime": None, "disk_quota": False} | more
    return bodies.container(spec, plugs, LABELS, **settings)


def test_a_bare_wish() -> None:
    made = body(SPEC)
    host = made["HostConfig"]
    assert made["Labels"] == {
        "org.dolium.deployment": "d",
        "org.dolium.uuid": "u",
        "org.dolium.generation": "1",
    }
    assert host["NetworkMode"] == "none"
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert not {"CapAdd", "PidMode", "Runtime", "StorageOpt", "Binds"} & host.keys()


@pytest.mark.parametrize(
    ("cpu", "quota", "shares"), [(0.001, 1000, 2), (0.1, 10_000, 102), (16.0, 1_600_000, 16384)]
)
def test_cpu(cpu: float, quota: int, shares: int) -> None:
    made = bodies.resources(Spec(image="x", cpu=cpu))
    assert (made["CpuQuota"], made["CpuShares"]) == (quota, shares)


def test_plugs() -> None:
    made = body(SPEC, plug(1), plug(2))
    assert made["HostConfig"]["NetworkMode"] == "dolium-n1"
    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "dolium-n1": {
            "IPAMConfig": {"IPv4Address": "10.0.1.2"},
            "Aliases": ["web"],
            "DriverOpts": {"dolium.token": "t", "dolium.port": "p1"},
        }
    }


@pytest.mark.parametrize(("quota", "option"), [(True, {"size": "3G"}), (False, None)])
def test_disk(quota: bool, option: dict[str, str] | None) -> None:
    made = body(Spec(image="x", disk=3), disk_quota=quota)
    assert made["HostConfig"].get("StorageOpt") == option
