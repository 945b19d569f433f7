"""What every engine driver does, whatever it drives."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from dolium import errors
from dolium.drivers import load, names
from dolium.drivers.engine.base import Engine, Happened, Labels
from dolium.drivers.engine.fake import Fake, Image
from dolium.model.container import Health, Spec, State
from tests import engines
from tests.drivers.engine.conftest import Bench, until_closed

ENDLESS = ("sleep", "1000")


def test_every_driver_is_registered() -> None:
    assert set(names("engine")) >= {"docker", "fake", "podman"}
    assert all(issubclass(load("engine", name), Engine) for name in names("engine"))


def test_facts(bench: Bench) -> None:
    facts = bench.engine.facts()
    assert facts.name == bench.engine.name
    assert facts.cpus >= 1
    assert facts.memory_mib >= 100
    assert facts.disk_gib >= 1
    assert facts.runtimes
    assert facts.version


# --- images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["never", "ifnotpresent"])
@pytest.mark.parametrize("image", ["busybox", "busybox:latest"])
def test_present_image_needs_no_registry(bench: Bench, policy: str, image: str) -> None:
    if isinstance(bench.engine, Fake):
        bench.engine.registry_answers = False
    assert bench.engine.pull(image, policy) is None


def test_never_pulls_never(bench: Bench) -> None:
    with pytest.raises(errors.ImageMissing, match=r"nosuch.*not on this host"):
        bench.engine.pull("nosuch:1", "never")


def test_present_image_serves_when_the_registry_is_silent(bench: Bench) -> None:
    if isinstance(bench.engine, Fake):
        bench.engine.registry_answers = False
    sentence = bench.engine.pull("busybox", "always")
    assert sentence is not None
    assert "docker.io" in sentence


@pytest.mark.parametrize("policy", ["always", "ifnotpresent"])
def test_absent_image_and_silent_registry(bench: Bench, policy: str) -> None:
    if isinstance(bench.engine, Fake):
        bench.engine.registry_answers = False
    with pytest.raises(errors.Unanswered, match=r"Registry docker\.io does not answer"):
        bench.engine.pull("nosuch:1", policy)


def test_create_without_image(bench: Bench) -> None:
    with pytest.raises(errors.ImageMissing):
        bench.create("true", image="nosuch:1")
    assert bench.engine.listing(bench.deployment) == []


# --- create ----------------------------------------------------------------------------------


def test_create_twice_adopts(bench: Bench) -> None:
    labels = bench.labels()
    spec = Spec(image="busybox", command=["true"])
    first = bench.engine.create(bench.name(labels), spec, (), labels)
    assert bench.engine.create(bench.name(labels), spec, (), labels) == first
    assert [seen.handle for seen in bench.engine.listing(bench.deployment)] == [first]


@pytest.mark.parametrize(
    "other",
    [
        Labels(deployment="somebody-else", uuid="x", generation=1),
        Labels(deployment="somebody-else", uuid="y", generation=2),
    ],
)
def test_a_container_of_others_is_not_adopted(bench: Bench, other: Labels) -> None:
    labels = bench.create("true")
    with pytest.raises(errors.Refused, match="another container"):
        bench.engine.create(bench.name(labels), Spec(image="busybox"), (), other)


def test_unknown_runtime(bench: Bench) -> None:
    with pytest.raises((errors.Refused, errors.NotOffered), match="nosuchrt"):
        bench.create("true", runtime="nosuchrt")


def test_look_shows_what_was_asked(bench: Bench) -> None:
    labels = bench.create(
        *ENDLESS,
        environment={"COLOR": "blue = green"},
        workdir="/tmp",
        hostname="wren",
        exposed_ports={"80/tcp": {}, "53/udp": {}, "8080": {}},
        labels={"org.dolium.deployment": "spoofed", "color": "red"},
    )
    seen = bench.look(labels)
    assert (seen.uuid, seen.generation, seen.state) == (labels.uuid, 1, State.CREATED)
    assert (seen.started_at, seen.finished_at, seen.exit_code, seen.error) == (None,) * 4
    assert seen.look
    assert seen.look.command == list(ENDLESS)
    assert seen.look.entrypoint == []
    assert seen.look.environment
    assert seen.look.environment["COLOR"] == "blue = green"
    assert seen.look.workdir == "/tmp"
    assert seen.look.hostname == "wren"
    if bench.engine.name != "podman":  # which forgets what is exposed without a network
        assert seen.look.ports == [53, 80, 8080]


def test_entrypoint_and_command(bench: Bench) -> None:
    seen = bench.run("one", "two", entrypoint=["echo", "zero"])
    bench.wait(seen, State.EXITED)
    assert bench.engine.logs(seen.handle) == b"zero one two\n"
    look = bench.look(seen).look
    assert look
    assert (look.entrypoint, look.command) == (["echo", "zero"], ["one", "two"])


def test_look_knows_nothing_of_what_is_not_there(bench: Bench) -> None:
    assert bench.engine.look("dolium-nosuch-1") is None


def test_listing_shows_one_deployment_only(bench: Bench) -> None:
    mine = bench.create("true")
    other = Labels(deployment=f"{bench.deployment}-other", uuid="u", generation=7)
    bench.create("true", mark=other)
    try:
        assert [seen.uuid for seen in bench.engine.listing(bench.deployment)] == [mine.uuid]
        (theirs,) = bench.engine.listing(other.deployment)
        assert (theirs.generation, theirs.state) == (7, State.CREATED)
    finally:
        bench.engine.remove(bench.look(other).handle)


# --- start, stop, kill -----------------------------------------------------------------------


def test_start_twice(bench: Bench) -> None:
    before = time.time()
    seen = bench.run(*ENDLESS)
    assert seen.state is State.RUNNING
    assert seen.started_at is not None
    assert before - 5 <= seen.started_at <= time.time() + 5
    bench.engine.start(seen.handle)
    assert bench.look(seen).started_at == seen.started_at
    assert [s.state for s in bench.engine.listing(bench.deployment)] == [State.RUNNING]


def test_start_of_a_command_that_is_not_there(bench: Bench) -> None:
    labels = bench.create("nosuchcommand")
    with pytest.raises(errors.Refused, match="nosuchcommand") as caught:
        bench.engine.start(bench.look(labels).handle)
    assert "not found" in str(caught.value)
    assert "OCI" not in str(caught.value)
    assert bench.look(labels).state is State.CREATED
    bench.engine.remove(bench.look(labels).handle)


def test_start_of_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(errors.Absent):
        bench.engine.start("f" * 64)


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code(bench: Bench, code: int) -> None:
    seen = bench.wait(bench.run("sh", "-c", f"exit {code}"), State.EXITED)
    assert seen.exit_code == code
    assert seen.finished_at is not None
    assert seen.started_at is not None
    assert seen.finished_at >= seen.started_at
    (listed,) = bench.engine.listing(bench.deployment)
    assert (listed.state, listed.exit_code) == (State.EXITED, code)


def test_start_again_after_the_end(bench: Bench) -> None:
    first = bench.wait(bench.run("sh", "-c", "echo once; exit 3"), State.EXITED)
    bench.engine.start(first.handle)
    again = bench.wait(first, State.EXITED)
    assert again.started_at is not None
    assert first.started_at is not None
    assert again.started_at > first.started_at
    assert bench.engine.logs(first.handle) == b"once\nonce\n"


def test_stop_asks_first(bench: Bench) -> None:
    script = "trap 'exit 7' TERM; echo ready; while true; do sleep 0.1; done"
    seen = bench.run("sh", "-c", script)
    engines.wait(lambda: bench.engine.logs(seen.handle) == b"ready\n", "the trap is set")
    bench.engine.stop(seen.handle, 30)
    assert bench.look(seen).exit_code == 7


def test_stop_kills_who_ignores_it(bench: Bench) -> None:
    seen = bench.run("sh", "-c", "trap '' TERM; sleep 1000")
    before = time.monotonic()
    bench.engine.stop(seen.handle, 1)
    assert time.monotonic() - before < 20
    after = bench.look(seen)
    assert (after.state, after.exit_code) == (State.EXITED, 137)


def test_stop_of_the_stopped_and_the_never_started(bench: Bench) -> None:
    resting = bench.look(bench.create("true"))
    bench.engine.stop(resting.handle, 1)
    assert bench.look(resting).state is State.CREATED
    over = bench.wait(bench.run("true"), State.EXITED)
    bench.engine.stop(over.handle, 1)
    assert bench.look(over).exit_code == 0


def test_kill(bench: Bench) -> None:
    seen = bench.run(*ENDLESS)
    bench.engine.kill(seen.handle, "SIGKILL")
    assert bench.wait(seen, State.EXITED).exit_code == 137


def test_kill_of_what_does_not_run(bench: Bench) -> None:
    with pytest.raises(errors.Refused, match=r"running|improper"):
        bench.engine.kill(bench.look(bench.create("true")).handle, "SIGTERM")


# --- pause, update, remove -------------------------------------------------------------------


def test_pause_twice_and_unpause_twice(bench: Bench) -> None:
    bench.needs("pause")
    seen = bench.run(*ENDLESS)
    for _ in range(2):
        bench.engine.pause(seen.handle)
        assert bench.look(seen).state is State.PAUSED
    assert [s.state for s in bench.engine.listing(bench.deployment)] == [State.PAUSED]
    for _ in range(2):
        bench.engine.unpause(seen.handle)
        assert bench.look(seen).state is State.RUNNING


def test_pause_of_what_does_not_run(bench: Bench) -> None:
    bench.needs("pause")
    handle = bench.look(bench.create("true")).handle
    with pytest.raises(errors.Refused):
        bench.engine.pause(handle)
    with pytest.raises(errors.Refused):
        bench.engine.unpause(handle)


def test_stop_of_the_paused(bench: Bench) -> None:
    bench.needs("pause")
    seen = bench.run(*ENDLESS)
    bench.engine.pause(seen.handle)
    bench.engine.stop(seen.handle, 1)
    assert bench.look(seen).state is State.EXITED


def test_update(bench: Bench) -> None:
    bench.needs("update")
    seen = bench.run(*ENDLESS)
    bench.engine.update(seen.handle, Spec(image="busybox", cpu=0.5, memory="128"))
    assert bench.look(seen).state is State.RUNNING
    if "stats" in bench.engine.can:
        assert bench.engine.stats(seen.handle).memory_limit == 128 << 20


def test_pin(bench: Bench) -> None:
    bench.needs("pin")
    every = bench.engine.facts().cpu_ids
    resting = bench.look(bench.create(*ENDLESS))
    running = bench.run(*ENDLESS)
    assert (resting.cpus, running.cpus) == ((), ())
    for seen in (resting, running):
        bench.engine.pin(seen.handle, every[-1:])
        assert bench.look(seen).cpus == every[-1:]
    bench.engine.update(running.handle, Spec(image="busybox", cpu=0.5, memory="128"))
    assert bench.look(running).cpus == every[-1:]
    bench.engine.pin(running.handle, every)
    assert bench.look(running).cpus == every
    with pytest.raises(errors.Refused):
        bench.engine.pin(running.handle, (max(every) + 4096,))
    assert (bench.look(running).state, bench.look(running).cpus) == (State.RUNNING, every)


def test_remove_twice(bench: Bench) -> None:
    seen = bench.wait(bench.run("true"), State.EXITED)
    bench.engine.remove(seen.handle)
    bench.engine.remove(seen.handle)
    assert bench.engine.look(bench.name(seen)) is None
    assert bench.engine.listing(bench.deployment) == []


def test_what_runs_is_not_removed(bench: Bench) -> None:
    seen = bench.run(*ENDLESS)
    with pytest.raises(errors.Refused):
        bench.engine.remove(seen.handle)
    assert bench.look(seen).state is State.RUNNING


# --- questions -------------------------------------------------------------------------------


def test_logs(bench: Bench) -> None:
    script = "echo one; sleep 1; echo two >&2; sleep 1; echo three"
    seen = bench.wait(bench.run("sh", "-c", script), State.EXITED)
    logs = bench.engine.logs
    assert logs(seen.handle) == b"one\ntwo\nthree\n"
    assert logs(seen.handle, stderr=False) == b"one\nthree\n"
    assert logs(seen.handle, stdout=False) == b"two\n"
    assert logs(seen.handle, tail="1") == b"three\n"
    assert logs(seen.handle, since=int(time.time()) + 100) == b""
    stamped = logs(seen.handle, timestamps=True).splitlines()
    assert [line.split(b" ", 1)[1] for line in stamped] == [b"one", b"two", b"three"]
    assert all(line.startswith(b"20") for line in stamped)


def test_logs_of_a_terminal(bench: Bench) -> None:
    seen = bench.wait(bench.run("echo", "hello", tty=True), State.EXITED)
    assert bench.engine.logs(seen.handle).rstrip() == b"hello"


def test_logs_of_the_never_started(bench: Bench) -> None:
    assert bench.engine.logs(bench.look(bench.create("true")).handle) == b""


def test_logs_of_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(errors.Absent):
        bench.engine.logs("f" * 64)


def test_execute(bench: Bench) -> None:
    seen = bench.run(*ENDLESS, environment={"COLOR": "blue"})
    execute = bench.engine.execute
    done = execute(seen.handle, ["echo", "a b"], 20)
    assert (done.output, done.exit_code) == (b"a b\n", 0)
    done = execute(seen.handle, ["sh", "-c", "echo $COLOR; sleep 1; echo no >&2; exit 4"], 20)
    assert (done.output, done.exit_code) == (b"blue\nno\n", 4)


def test_execute_what_is_not_there(bench: Bench) -> None:
    seen = bench.run(*ENDLESS)
    done = bench.engine.execute(seen.handle, ["nosuchcommand"], 20)
    assert done.exit_code in (126, 127)
    assert b"nosuchcommand" in done.output


def test_execute_has_a_limit_of_time(bench: Bench) -> None:
    seen = bench.run(*ENDLESS)
    before = time.monotonic()
    with pytest.raises(errors.TimedOut):
        bench.engine.execute(seen.handle, ["sleep", "100"], 1)
    assert time.monotonic() - before < 15
    assert bench.engine.execute(seen.handle, ["true"], 20).exit_code == 0


def test_execute_where_nothing_runs(bench: Bench) -> None:
    with pytest.raises(errors.Refused):
        bench.engine.execute(bench.look(bench.create("true")).handle, ["true"], 5)


def test_top(bench: Bench) -> None:
    bench.needs("top")
    top = bench.engine.top(bench.run(*ENDLESS).handle)
    assert "PID" in top["Titles"]
    assert any("sleep 1000" in " ".join(map(str, row)) for row in top["Processes"])  # type: ignore[call-overload]


def test_stats(bench: Bench) -> None:
    bench.needs("stats")
    handle = bench.run("sh", "-c", "sleep 1000").handle
    # A process that has just begun may have no memory to its account yet.
    engines.wait(lambda: bench.engine.stats(handle).memory > 0, "it uses memory")
    usage = bench.engine.stats(handle)
    assert usage.memory_limit == 64 << 20
    assert 0 < usage.memory < usage.memory_limit
    assert usage.cpu_ns > 0
    assert usage.system_cpu_ns > 0


def test_health(bench: Bench) -> None:
    if bench.engine.name == "podman":
        pytest.skip("its checks are timers of systemd")
    told: list[Happened] = []
    stream = bench.engine.events(bench.deployment)
    threading.Thread(target=lambda: told.extend(until_closed(stream)), daemon=True).start()
    check = {"test": "test ! -e /tmp/ill", "interval": 1, "retries": 1, "timeout": 30}
    seen = bench.run(*ENDLESS, healthcheck=check)
    if isinstance(bench.engine, Fake):
        assert seen.health is Health.STARTING
        bench.engine.feel(bench.name(seen), Health.HEALTHY)
    engines.wait(lambda: bench.look(seen).health is Health.HEALTHY, "it is healthy")
    if isinstance(bench.engine, Fake):
        bench.engine.feel(bench.name(seen), Health.UNHEALTHY)
    else:
        bench.engine.execute(seen.handle, ["touch", "/tmp/ill"], 20)
    engines.wait(lambda: bench.look(seen).health is Health.UNHEALTHY, "it is ill")
    bench.engine.stop(seen.handle, 0)
    assert bench.look(seen).health is None
    engines.wait(
        lambda: [event.what for event in told].count("health_status") >= 2, "both were told"
    )
    bench.engine.close()


def test_events(bench: Bench) -> None:
    bench.needs("events")
    told: list[Happened] = []
    stream = bench.engine.events(bench.deployment)

    def listen() -> None:
        try:
            for event in stream:
                told.append(event)  # noqa: PERF402 - so that the others see it at once
        except errors.Unanswered:
            pass

    thread = threading.Thread(target=listen)
    thread.start()
    other = Labels(deployment=f"{bench.deployment}-other", uuid="other", generation=1)
    bench.create("true", mark=other)
    bench.engine.remove(bench.look(other).handle)
    seen = bench.wait(bench.run("true"), State.EXITED)
    bench.engine.remove(seen.handle)
    engines.wait(lambda: len(told) >= 4, "four events")
    bench.engine.close()
    thread.join(10)
    assert not thread.is_alive()
    assert {event.uuid for event in told} == {seen.uuid}
    assert [event.what for event in told][:3] == ["create", "start", "die"]


def test_images(bench: Bench) -> None:
    engine, name = bench.engine, f"own{uuid.uuid4().hex[:8]}:latest"
    if isinstance(engine, Fake):
        engine.images[name] = Image()
    else:
        assert bench.daemon
        engines.load_image(str(bench.daemon.socket), name)
    held = engine.image(name)
    assert held is not None
    assert held.id.startswith("sha256:")
    assert held.size > 0
    assert engine.image(name) == held
    assert engine.image("nosuch:1") is None
    engine.remove_image("nosuch:1")
    labels = bench.create("true", image=name)
    with pytest.raises(errors.Refused):
        engine.remove_image(name)
    engine.remove(bench.look(labels).handle)
    assert engine.image(name) == held
    engine.remove_image(name)
    assert engine.image(name) is None
    engine.remove_image(name)
