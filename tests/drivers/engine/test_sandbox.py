"""Sandboxes: what containers of one capsule share, on every engine that can."""

from __future__ import annotations

import io
import struct
import tarfile
import threading
import uuid

import pytest

from dolium import errors
from dolium.drivers.engine import docker_sandbox
from dolium.drivers.engine.base import Happened, Labels
from dolium.drivers.engine.docker import Docker, DockerOptions
from dolium.model.container import Spec, State
from tests import engines
from tests.drivers.engine.conftest import Bench, until_closed

ENDLESS = ["sleep", "1000"]


def sandbox(bench: Bench) -> Labels:
    """One that is made and does not run."""
    bench.needs("sandbox")
    labels = bench.labels()
    spec = Spec(image=bench.engine.sandbox_image(), memory="64", labels={"tier": "web"})
    bench.engine.create(bench.name(labels), spec, (), labels, bench.name(labels))
    return labels


def beside(bench: Bench, shared: Labels, **spec: object) -> Labels:
    """A container that shares it."""
    labels = bench.labels()
    wish = Spec(**{"image": "busybox", "memory": "64", "command": ENDLESS} | spec)  # type: ignore[arg-type]
    bench.engine.create(bench.name(labels), wish, (), labels, bench.name(shared))
    return labels


def test_the_image_is_made_without_a_registry_and_once(bench: Bench) -> None:
    bench.needs("sandbox")
    name = bench.engine.sandbox_image()
    assert bench.engine.image(name) is not None
    assert bench.engine.sandbox_image() == name
    assert bench.engine.image(name) == bench.engine.image(name)


def test_a_sandbox_runs_until_it_is_stopped_and_that_is_at_once(bench: Bench) -> None:
    labels = sandbox(bench)
    assert bench.look(labels).state is State.CREATED
    bench.engine.start(bench.look(labels).handle)
    assert bench.look(labels).state is State.RUNNING
    bench.engine.stop(bench.look(labels).handle, 10)
    assert bench.look(labels).state is State.EXITED
    bench.engine.remove(bench.look(labels).handle)
    assert bench.engine.look(bench.name(labels)) is None


def test_others_are_made_before_it_runs_and_start_after(bench: Bench) -> None:
    shared = sandbox(bench)
    one, two = beside(bench, shared), beside(bench, shared, exposed_ports={"80/tcp": {}})
    with pytest.raises(errors.Refused):
        bench.engine.start(bench.look(one).handle)
    bench.engine.start(bench.look(shared).handle)
    for labels in (one, two):
        bench.engine.start(bench.look(labels).handle)
        assert bench.look(labels).state is State.RUNNING
    looks = [bench.look(one).look, bench.look(two).look]
    if isinstance(bench.engine, Docker):
        mine, other = (bench.inspect(bench.look(each)) for each in (shared, one))
        assert other["HostConfig"]["NetworkMode"].startswith("container:")
        assert other["HostConfig"]["IpcMode"].startswith("container:")
        assert mine["HostConfig"]["IpcMode"] == "shareable"
        assert looks[0].hostname == mine["Config"]["Hostname"]  # type: ignore[union-attr]
        assert not mine["HostConfig"]["Privileged"]
        links = [
            bench.engine.execute(bench.look(each).handle, ["readlink", f"/proc/self/ns/{kind}"], 20)
            for kind in ("net", "ipc")
            for each in (one, two)
        ]
        assert links[0].output == links[1].output
        assert links[2].output == links[3].output


def test_it_is_adopted_by_who_makes_it_again(bench: Bench) -> None:
    shared = sandbox(bench)
    spec = Spec(image=bench.engine.sandbox_image(), memory="64")
    again = bench.engine.create(bench.name(shared), spec, (), shared, bench.name(shared))
    assert again == bench.look(shared).handle
    one = beside(bench, shared)
    assert beside(bench, shared) != one


def test_one_may_be_made_before_anybody_wants_it(bench: Bench) -> None:
    bench.needs("sandbox")
    told: list[Happened] = []
    stream = bench.engine.events(bench.deployment)
    threading.Thread(target=lambda: told.extend(until_closed(stream)), daemon=True).start()
    ready = f"dolium-ready-{uuid.uuid4().hex}"
    handle = bench.engine.prepare(ready, bench.deployment)
    assert bench.engine.prepare(ready, bench.deployment) == handle
    assert bench.engine.prepared(bench.deployment) == [handle]
    assert bench.engine.prepared(f"{bench.deployment}-other") == []
    assert bench.engine.listing(bench.deployment) == []

    mine = bench.labels()
    bench.engine.hand_over(handle, bench.name(mine))
    assert bench.engine.prepared(bench.deployment) == []
    for seen in (bench.look(mine), *bench.engine.listing(bench.deployment)):
        assert (seen.uuid, seen.generation, seen.handle) == (mine.uuid, 1, handle)
        assert seen.state is State.RUNNING
    spec = Spec(image=bench.engine.sandbox_image(), memory="64")
    assert bench.engine.create(bench.name(mine), spec, (), mine, bench.name(mine)) == handle
    bench.engine.start(bench.look(beside(bench, mine)).handle)

    bench.engine.stop(handle, 0)
    bench.engine.start(handle)
    bench.engine.stop(handle, 0)
    bench.engine.remove(handle)
    engines.wait(lambda: "destroy" in [event.what for event in told], "its end was told")
    bench.engine.close()
    own = [event.what for event in told if event.uuid == mine.uuid]
    assert own == ["die", "start", "die", "destroy"]
    assert "" not in {event.uuid for event in told}


def test_who_hands_over_is_told_why_not(bench: Bench) -> None:
    bench.needs("sandbox")
    handle = bench.engine.prepare(f"dolium-ready-{uuid.uuid4().hex}", bench.deployment)
    taken = sandbox(bench)
    with pytest.raises(errors.Refused):
        bench.engine.hand_over(handle, bench.name(taken))
    assert bench.engine.prepared(bench.deployment) == [handle]
    bench.engine.stop(handle, 0)
    bench.engine.remove(handle)
    with pytest.raises(errors.Absent):
        bench.engine.hand_over(handle, bench.name(bench.labels()))


def test_a_runtime_that_lets_nothing_be_shared_is_refused() -> None:
    engine = Docker(DockerOptions(socket="/nosuch", tenant_runtime="runsc"))
    with pytest.raises(errors.NotOffered, match="capsules with runtime runsc"):
        engine.sandbox_image()


def test_the_program_is_an_elf_of_each_machine() -> None:
    for architecture, (name, number, code) in docker_sandbox.MACHINES.items():
        with tarfile.open(fileobj=io.BytesIO(docker_sandbox.archive(architecture))) as image:
            layer = image.extractfile("layer.tar")
            assert layer is not None
            with tarfile.open(fileobj=layer) as files:
                file = files.extractfile("pause")
                assert file is not None
                program = file.read()
        assert program[:4] == b"\x7fELF"
        assert struct.unpack_from("<HH", program, 16) == (2, number)
        assert program.endswith(code)
        assert name in docker_sandbox.archive(architecture).decode("latin-1")
    assert docker_sandbox.archive("x86_64") == docker_sandbox.archive("x86_64")
    with pytest.raises(errors.NotOffered, match="riscv64"):
        docker_sandbox.archive("riscv64")
