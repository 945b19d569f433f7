"""Terminals, whatever drives them. In the fake engine the test itself plays the process."""

from __future__ import annotations

import time

import pytest

from dolium import errors
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.fake import Fake
from dolium.drivers.engine.process import hang_up, started
from dolium.model.container import Seen, State
from tests import engines
from tests.drivers.engine.conftest import Bench

PATIENCE = 60.0
SHELL = ("sh",)


def hears(console: Console, text: bytes) -> bytes:
    """What the process writes, until this is in it."""
    console.socket.settimeout(PATIENCE)
    got = console.through(console.early) if console.early else b""
    while text not in got:
        piece = console.socket.recv(65536)
        assert piece, f"it ended after {got!r}"
        got += console.through(piece)
    return got


def ends(console: Console) -> None:
    console.socket.settimeout(PATIENCE)
    while console.socket.recv(65536):
        pass


@pytest.fixture
def box(bench: Bench) -> Seen:
    return bench.run(*SHELL, interactive=True, tty=True)


# --- any engine ------------------------------------------------------------------------------


def test_attach_and_exit(bench: Bench, box: Seen) -> None:
    console = bench.engine.attach(box.handle)
    if isinstance(bench.engine, Fake):
        (inside,) = bench.engine.boxes[bench.name(box)].attached
        inside.sendall(b"typed 42")
    console.socket.sendall(b"echo typed $((40 + 2)); exit 3\n")
    hears(console, b"typed 42")
    if isinstance(bench.engine, Fake):
        assert inside.recv(100).endswith(b"exit 3\n")
        bench.engine.exit(bench.name(box), 3)
    ends(console)
    console.socket.close()
    assert bench.wait(box, State.EXITED).exit_code == 3


def test_a_command_of_its_own(bench: Bench, box: Seen) -> None:
    engine = bench.engine
    exec_id = engine.exec_create(box.handle, ["sh"])
    assert len(exec_id) == 64 and int(exec_id, 16)
    with pytest.raises(errors.NoConsole):
        engine.exec_resize(box.handle, exec_id, 30, 100)  # it does not run yet
    console = engine.exec_start(box.handle, exec_id)
    engine.exec_resize(box.handle, exec_id, 30, 100)
    with pytest.raises(errors.NoConsole, match="started before"):
        engine.exec_start(box.handle, exec_id)
    if isinstance(engine, Fake):
        assert engine.commands[exec_id].size == (30, 100)
        engine.commands[exec_id].end()
    else:
        console.socket.sendall(b"stty size; exit\n")
        hears(console, b"30 100")
    ends(console)
    console.socket.close()
    engines.wait(lambda: engine.exec_process(box.handle, exec_id) is None, "it has ended")
    with pytest.raises(errors.NoConsole):
        engine.exec_resize(box.handle, exec_id, 30, 100)
    assert bench.look(box).state is State.RUNNING


def test_commands_of_other_containers_are_not_there(bench: Bench, box: Seen) -> None:
    other = bench.run(*SHELL, interactive=True, tty=True)
    exec_id = bench.engine.exec_create(box.handle, ["sh"])
    for known in (exec_id, "ab" * 32):
        with pytest.raises(errors.NoConsole):
            bench.engine.exec_start(other.handle, known)
        with pytest.raises(errors.NoConsole):
            bench.engine.exec_resize(other.handle, known, 30, 100)
        assert bench.engine.exec_process(other.handle, known) is None


def test_the_size_of_a_window(bench: Bench, box: Seen) -> None:
    bench.engine.resize(box.handle, 41, 132)
    if isinstance(bench.engine, Fake):
        assert bench.engine.boxes[bench.name(box)].size == (41, 132)
        return
    console = bench.engine.attach(box.handle)
    console.socket.sendall(b"stty size\n")
    hears(console, b"41 132")
    console.socket.close()


def test_no_terminal_has_no_size(bench: Bench) -> None:
    plain = bench.run(*SHELL, interactive=True)
    with pytest.raises(errors.NoConsole, match="tty"):
        bench.engine.resize(plain.handle, 24, 80)


def test_the_container_has_to_run(bench: Bench) -> None:
    rests = bench.look(bench.create(*SHELL, interactive=True, tty=True))
    with pytest.raises(errors.Refused):
        bench.engine.exec_create(rests.handle, ["sh"])
    with pytest.raises(errors.DriverError):
        bench.engine.attach("ff" * 32)


# --- real processes --------------------------------------------------------------------------


def test_attach_without_a_terminal(real: Bench) -> None:
    plain = real.run(*SHELL, interactive=True)
    console = real.engine.attach(plain.handle)
    console.socket.sendall(b"echo out; echo err >&2; head -c 100000 /dev/zero | tr '\\0' x\n")
    got = hears(console, b"x" * 1000)
    while got.count(b"x") < 100_000 or b"out\n" not in got or b"err\n" not in got:
        piece = console.socket.recv(65536)
        assert piece, f"it ended after {len(got)} bytes"
        got += console.through(piece)
    assert set(got.replace(b"out\n", b"").replace(b"err\n", b"")) == {ord("x")}
    console.socket.close()


def test_a_program_that_is_not_there_says_so_on_its_console(real: Bench) -> None:
    box = real.run(*SHELL, interactive=True, tty=True)
    exec_id = real.engine.exec_create(box.handle, ["nosuch"])
    console = real.engine.exec_start(box.handle, exec_id)
    assert console.process is None
    hears(console, b"nosuch")
    ends(console)
    console.socket.close()


def test_a_command_is_ended_while_it_writes(real: Bench) -> None:
    """An engine forgets a command whose console it can't write to; its process lives on."""
    box = real.run(*SHELL, interactive=True, tty=True)
    script = "trap '' HUP; while :; do echo on and on; done"
    exec_id = real.engine.exec_create(box.handle, ["sh", "-c", script])
    console = real.engine.exec_start(box.handle, exec_id)
    process = console.process
    if process is None:
        pytest.skip(f"{real.engine.name} does not tell the process")
    hears(console, b"on and on")
    console.socket.close()
    time.sleep(0.5)  # the engine finds out
    assert started(process.pid) == process.started
    hang_up([process], 0.2)
    engines.wait(lambda: started(process.pid) != process.started, "it has ended")
    assert real.look(box).state is State.RUNNING
