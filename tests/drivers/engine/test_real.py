"""What only engines with real processes can show: limits, isolation, death of the engine."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium import errors
from dolium.drivers.engine import docker_process
from dolium.drivers.engine.base import Labels
from dolium.drivers.engine.docker import Docker
from dolium.model.container import Spec, State
from tests import engines
from tests.drivers.engine.conftest import Bench

ENDLESS = ("sleep", "1000")


def test_limits_are_set(real: Bench) -> None:
    seen = real.run(*ENDLESS, cpu=0.5, memory="48")
    host = real.inspect(seen)["HostConfig"]
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100_000, 50_000, 512)
    assert (host["Memory"], host["MemorySwap"]) == (48 << 20, 48 << 20)
    assert host["PidsLimit"] == 512
    assert host["RestartPolicy"]["Name"] in ("no", "")
    assert not host["Privileged"]
    assert not host["PublishAllPorts"]
    assert host["NetworkMode"] == "none"


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("memory/memory.limit_in_bytes memory.max", "50331648"),
        ("memory/memory.memsw.limit_in_bytes memory.swap.max", "50331648 0"),
        ("cpu/cpu.cfs_quota_us cpu.max", "50000"),
        ("pids/pids.max pids.max", "512"),
    ],
)
def test_the_kernel_knows_the_limits(real: Bench, file: str, value: str) -> None:
    seen = real.run(*ENDLESS, cpu=0.5, memory="48")
    pid = real.inspect(seen)["State"]["Pid"]
    assert engines.cgroup(pid, *file.split()).split()[0] in value.split()


def test_processes_run_where_they_are_pinned(real: Bench) -> None:
    real.needs("pin")
    last = real.engine.facts().cpu_ids[-1]
    seen = real.run(*ENDLESS)
    real.engine.pin(seen.handle, (last,))
    done = real.engine.execute(seen.handle, ["grep", "Cpus_allowed_list", "/proc/self/status"], 20)
    assert done.output.split() == [b"Cpus_allowed_list:", str(last).encode()]


def test_less_memory_than_a_start_takes(real: Bench) -> None:
    seen = real.run(*ENDLESS, memory="4")
    assert real.inspect(seen)["HostConfig"]["Memory"] == 16 << 20


def test_processes_are_confined(real: Bench) -> None:
    seen = real.run("sh", "-c", "cat /proc/self/status; sleep 1000")
    engines.wait(lambda: b"Seccomp:" in real.engine.logs(seen.handle), "the status is written")
    lines = real.engine.logs(seen.handle).decode().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    sys_admin, net_admin = 1 << 21, 1 << 12
    assert not int(status["CapEff"], 16) & (sys_admin | net_admin)


def test_users_labels_cannot_pass_for_ours(real: Bench) -> None:
    theirs = {"org.dolium.uuid": "spoofed", "org.dolium.other": "x", "color": "red"}
    labels = real.create("true", labels=theirs)
    found = real.inspect(real.look(labels))["Config"]["Labels"]
    assert found["org.dolium.uuid"] == labels.uuid
    assert found["color"] == "red"
    assert "org.dolium.other" not in found


def test_healthcheck(real: Bench) -> None:
    check = {"test": "true", "interval": "2", "timeout": 3, "retries": 4}
    found = real.inspect(real.look(real.create(*ENDLESS, healthcheck=check)))
    health = found["Config"]["Healthcheck"]
    assert health["Test"] == ["CMD-SHELL", "true"]
    assert (health["Interval"], health["Timeout"]) == (2_000_000_000, 3_000_000_000)
    assert health["Retries"] == 4


def test_output_without_end_does_not_fill_the_host(real: Bench) -> None:
    found = real.inspect(real.run(*ENDLESS))
    if real.engine.name == "podman":  # which does not show it: its conmon knows
        stat = Path(f"/proc/{found['State']['Pid']}/stat").read_text()
        parent = stat.rsplit(")", 1)[1].split()[1]
        assert "--log-size-max\x0010000000" in Path(f"/proc/{parent}/cmdline").read_text()
    else:
        assert found["HostConfig"]["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.live
def test_out_of_memory_is_told(docker: Bench) -> None:
    script = "x=a; while true; do x=$x$x; done"
    seen = docker.wait(docker.run("sh", "-c", script, memory="16"), State.EXITED)
    assert seen.error == "It was killed: out of memory"


@pytest.mark.live
def test_long_output_of_a_command_is_cut(docker: Bench) -> None:
    seen = docker.run(*ENDLESS)
    script = "head -c 20000000 /dev/zero; exit 5"
    done = docker.engine.execute(seen.handle, ["sh", "-c", script], 60)
    assert len(done.output) == 8 << 20
    assert done.exit_code == 5


def test_a_command_out_of_time_is_killed(real: Bench) -> None:
    seen = real.run(*ENDLESS)
    with pytest.raises(errors.TimedOut):
        real.engine.execute(seen.handle, ["sh", "-c", "exec sleep 4242"], 3.0)

    def gone() -> bool:
        rows = real.engine.top(seen.handle)["Processes"]
        return not any("4242" in str(row) for row in rows)

    engines.wait(gone, "the command is gone", 20)
    assert real.look(seen).state is State.RUNNING


@pytest.mark.live
def test_gvisor(docker: Bench) -> None:
    if not shutil.which("runsc"):
        pytest.skip("needs runsc (Debian package of the same name)")
    seen = docker.run("sh", "-c", "dmesg | head -3; exit 3", runtime="runsc")
    assert docker.wait(seen, State.EXITED).exit_code == 3
    assert b"gVisor" in docker.engine.logs(seen.handle)
    labels = docker.create("nosuchcommand", runtime="runsc")
    with pytest.raises(errors.Refused, match="nosuchcommand"):
        docker.engine.start(docker.look(labels).handle)


@pytest.mark.live
def test_runtime_of_tenants(docker: Bench) -> None:
    assert docker.daemon
    options = Docker.Options(socket=str(docker.daemon.socket), tenant_runtime="runsc")
    tenants = Docker(options)
    if "runsc" not in tenants.facts().runtimes:
        pytest.skip("needs runsc (Debian package of the same name)")
    labels = docker.labels()
    tenants.create(docker.name(labels), Spec(image="busybox"), (), labels)
    tenants.close()
    assert docker.inspect(docker.look(labels))["HostConfig"]["Runtime"] == "runsc"


@pytest.mark.live
def test_the_engine_dies_and_comes_back(docker: Bench) -> None:
    assert docker.daemon
    engine = docker.engine
    seen = docker.run(*ENDLESS)
    stream = engine.events(docker.deployment)
    before = engine.incarnation()
    assert before == engine.incarnation() != ""
    docker.daemon.kill()
    try:
        with pytest.raises(errors.Unanswered):
            engine.incarnation()
        with pytest.raises(errors.Unanswered, match="Docker Engine does not answer"):
            engine.listing(docker.deployment)
        with pytest.raises(errors.Unanswered):
            engine.stop(seen.handle, 1)
        with pytest.raises(errors.Unanswered):
            next(stream)
    finally:
        docker.daemon.start()
    assert engine.incarnation() not in (before, "")
    after = docker.look(seen)
    assert (after.state, after.started_at) == (State.RUNNING, seen.started_at)
    engine.stop(seen.handle, 0)
    engine.remove(seen.handle)


@pytest.mark.live
def test_incarnation_behind_somebody_elses_socket(
    docker: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert docker.daemon
    told = docker.engine.incarnation()
    monkeypatch.setattr(docker_process, "peer", lambda _: 1)  # as if systemd had made it
    monkeypatch.setattr(docker_process, "only", lambda _: docker.daemon.pid)
    assert docker.engine.incarnation() == told
    monkeypatch.setattr(docker_process, "only", lambda _: 0)
    assert docker.engine.incarnation() == ""


def test_the_only_process_of_a_name(tmp_path: Path) -> None:
    name = f"only{uuid.uuid4().hex[:8]}"
    program = tmp_path / name
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([program, "1000"]) as process:
        try:
            engines.wait(lambda: docker_process.only(name) == process.pid, "it is found")
        finally:
            process.kill()
    assert docker_process.only(name) == 0


@pytest.mark.live
def test_no_engine_at_all(tmp_path: Any) -> None:
    engine = Docker(Docker.Options(socket=str(tmp_path / "nosuch.sock")))
    with pytest.raises(errors.Unanswered, match="Docker Engine does not answer: its socket"):
        engine.facts()


# --- silent registries -----------------------------------------------------------------------


@pytest.fixture
def silent(real: Bench) -> Iterator[Bench]:
    """An engine whose registry never says anything; one second counts as silence."""
    assert real.daemon
    with real.daemon.silent_network():
        yield real


def test_silence_is_judged_once(silent: Bench) -> None:
    before = time.monotonic()
    first = silent.engine.pull("busybox", "always")
    took = time.monotonic() - before
    assert first == "Registry docker.io does not answer: the image busybox on the host is used"
    assert took >= 0.9
    before = time.monotonic()
    assert silent.engine.pull("busybox", "always") == first
    assert time.monotonic() - before < 0.9, "it waited once more"


def test_silence_is_judged_together(silent: Bench) -> None:
    sentences: list[str | None] = []
    before = time.monotonic()
    threads = [
        threading.Thread(target=lambda: sentences.append(silent.engine.pull("busybox", "always")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(sentences) == 8
    assert all(sentences)
    assert time.monotonic() - before < 8 * 0.9, "each waited for the one before"


def test_a_pull_can_be_given_up(silent: Bench) -> None:
    before = time.monotonic()
    with pytest.raises(errors.Unanswered, match="given up"):
        silent.engine.pull("nosuch:1", "always", lambda: time.monotonic() - before > 1.5)
    assert time.monotonic() - before < 5


def test_names_of_images(real: Bench) -> None:
    for name in ("Bad Name", "../containers/x", "a//b", ":x", "UPPER/case"):
        with pytest.raises(errors.Refused, match="not the name of an image"):
            real.engine.pull(name, "always")


@pytest.mark.live
def test_labels_of_another_generation_are_not_adopted(docker: Bench) -> None:
    labels = docker.create("true")
    other = Labels(deployment=labels.deployment, uuid=labels.uuid, generation=2)
    with pytest.raises(errors.Refused):
        docker.engine.create(docker.name(labels), Spec(image="busybox"), (), other)
