"""Consoles of a host: opened once, and hung up when nobody is there any more."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dolium import errors
from dolium.agent import consoles as agent
from dolium.agent.consoles import KIND, Consoles, Opened
from dolium.agent.journal import Journal
from dolium.drivers.engine.base import Labels
from dolium.drivers.engine.fake import Fake
from dolium.drivers.engine.process import Process, started
from dolium.model import log
from dolium.model.container import Spec, engine_name
from dolium.model.wish import Question

PATIENCE = 30.0
UUID = "11111111-1111-4111-8111-111111111111"


class Bench:
    def __init__(self) -> None:
        self.engine, self.journal = Fake(), Journal(None)
        self.engine.pull("busybox", "always")
        self.name = engine_name(UUID, 1)
        labels = Labels(deployment="test", uuid=UUID, generation=1)
        spec = Spec(image="busybox", command=["sleep", "1000"], interactive=True, tty=True)
        self.handle = self.engine.create(self.name, spec, (), labels)
        self.engine.start(self.handle)
        self.consoles = Consoles(self.engine, self.journal)
        self.consoles.start()

    def open(self, what: str, **params: Any) -> socket.socket:
        line = self.consoles.open(self.handle, Question(what=what, uuid=UUID, params=params))
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        line.join(theirs)
        return ours

    def kept(self) -> dict[str, Opened]:
        return self.journal.all(KIND, Opened)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.consoles.stop()
    made.engine.exit(made.name)
    made.journal.close()


def eventually(what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def test_attach_as_often_as_one_likes(bench: Bench) -> None:
    with bench.open("attach") as one, bench.open("attach") as other:
        for inside in bench.engine.boxes[bench.name].attached:
            inside.sendall(b"shown")
        assert (one.recv(100), other.recv(100)) == (b"shown", b"shown")
        eventually(lambda: len(bench.consoles) == 2)
        bench.engine.exit(bench.name)
        assert (one.recv(100), other.recv(100)) == (b"", b"")
    eventually(lambda: len(bench.consoles) == 0)
    assert bench.kept() == {}


def test_a_command_runs_once(bench: Bench) -> None:
    exec_id = bench.engine.exec_create(bench.handle, ["sh"])
    with bench.open("exec_start", exec_id=exec_id) as console:
        inside = bench.engine.commands[exec_id].inside
        assert inside is not None
        console.sendall(b"typed")
        assert inside.recv(100) == b"typed"
        assert bench.kept() == {exec_id: Opened(handle=bench.handle)}
        with pytest.raises(errors.NoConsole, match="started before"):
            bench.open("exec_start", exec_id=exec_id)
        console.sendall(b"still there")
        assert inside.recv(100) == b"still there"
    assert inside.recv(100) == b""
    eventually(lambda: bench.kept() == {})


def test_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(errors.NoConsole):
        bench.open("exec_start", exec_id="ff" * 32)
    with pytest.raises(errors.NotOffered):
        bench.open("screen")
    assert bench.kept() == {}


def test_an_unknown_outcome_is_looked_after(bench: Bench) -> None:
    exec_id = bench.engine.exec_create(bench.handle, ["sh"])
    bench.engine.fail("exec_start", errors.Unanswered(what="It", why="silence"))
    with pytest.raises(errors.Unanswered):
        bench.open("exec_start", exec_id=exec_id)
    eventually(lambda: bench.engine.calls["exec_process"] == 1)
    eventually(lambda: bench.kept() == {})


@pytest.fixture
def hanging_up_ends() -> Iterator[None]:
    """Also where the tests run under `nohup`, whose children ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hanging_up_ends")
def test_what_a_killed_agent_left_is_hung_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "GRACE_S", 0.2)
    polite = subprocess.Popen(["sleep", "1000"])
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' HUP; echo ready; while :; do sleep 1; done"], stdout=subprocess.PIPE
    )
    assert stubborn.stdout and stubborn.stdout.readline() == b"ready\n"
    other = subprocess.Popen(["sleep", "1000"])
    for number, process in enumerate((polite, stubborn)):
        seen = Process(pid=process.pid, started=started(process.pid))
        bench.journal.put(KIND, str(number), Opened(handle="gone", process=seen))
    reused = Process(pid=other.pid, started="of another process")
    bench.journal.put(KIND, "3", Opened(handle="gone", process=reused))
    later = Consoles(bench.engine, bench.journal)
    later.start()
    assert polite.wait(PATIENCE) == -signal.SIGHUP
    assert stubborn.wait(PATIENCE) == -signal.SIGKILL
    stubborn.stdout.close()
    eventually(lambda: bench.kept() == {})
    later.stop()
    assert other.poll() is None
    other.kill()
    other.wait(PATIENCE)


def test_a_stop_closes_all(bench: Bench) -> None:
    exec_id = bench.engine.exec_create(bench.handle, ["sh"])
    with bench.open("exec_start", exec_id=exec_id) as console, bench.open("attach") as other:
        bench.consoles.stop()
        assert (console.recv(100), other.recv(100)) == (b"", b"")
    assert bench.kept() == {}


def test_a_log_is_carried_to_its_end(bench: Bench) -> None:
    bench.engine.say(bench.name, b"one\n")
    with bench.open("follow", tail="5", stderr=False) as reader:
        pieces = log.Pieces()
        bench.engine.say(bench.name, b"two\n")
        bench.engine.say(bench.name, b"not asked for\n", "stderr")
        bench.engine.exit(bench.name)
        text = b""
        while not pieces.ended:
            data = reader.recv(100)
            assert data
            text += pieces.feed(data)
        assert [line.split(b" ", 1)[1] for line in text.splitlines()] == [b"one", b"two"]
        assert reader.recv(100) == b""


def test_a_stop_breaks_logs_off(bench: Bench) -> None:
    with bench.open("follow") as reader:
        bench.consoles.stop()
        assert reader.recv(100) == b""


def test_a_reader_that_leaves_is_noticed_in_a_silent_log(bench: Bench) -> None:
    bench.open("follow").close()

    def left() -> bool:
        bench.engine.say(bench.name, b"to nobody\n")
        return not bench.engine.boxes[bench.name].readers

    eventually(left)
