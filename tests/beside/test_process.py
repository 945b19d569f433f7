"""A process beside Dolium is found again by pid and start time, and nobody else is ever ended."""

import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolium.beside import process as module
from dolium.beside.process import Process, environment, look

PATIENCE = 30.0
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)",
]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Made:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Process] = []

    def __call__(self, command: list[str] = SLEEP) -> Process:
        made = Process(
            "sleeper",
            command,
            pidfile=self.folder / "pid",
            log=self.folder / "log",
            environment=environment(),
        )
        self.all.append(made)
        return made


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    made = Made(tmp_path)
    yield made
    for process in made.all:
        process.stop(0.1)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_what_we_ignore_it_does_not(make: Made, number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        pid = make().start()
    finally:
        signal.signal(number, before)
    until(lambda: b"up" in (make.folder / "log").read_bytes())
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert not ignored & 1 << (number - 1)


def test_a_started_process_lives_and_writes_its_log(make: Made) -> None:
    process = make()
    pid = process.start()
    assert process.alive() and process.pid == pid
    until(lambda: process.said() == ["up"])
    assert os.getsid(pid) == pid
    assert stat.S_IMODE((make.folder / "log").stat().st_mode) == 0o600


def test_the_child_writes_its_own_private_pidfile(make: Made) -> None:
    process = make()
    pid = process.start()
    until(lambda: process.said())
    pidfile = make.folder / "pid"
    assert stat.S_IMODE(pidfile.stat().st_mode) == 0o600
    seen = look(pid)
    assert seen is not None
    assert pidfile.read_text().split() == [str(pid), str(seen.started), seen.boot]


def test_a_new_dolium_adopts_what_the_killed_one_left(make: Made) -> None:
    first, second = make(), make()
    pid = first.start()
    until(first.said)
    assert second.adopt() and second.alive() and second.pid == pid
    second.stop()
    assert not first.alive() and not second.alive()


@pytest.mark.parametrize("field", [1, 2])
def test_a_recycled_pid_is_nobody_of_ours(make: Made, field: int) -> None:
    first, second = make(), make()
    first.start()
    until(first.said)
    words = (make.folder / "pid").read_text().split()
    words[field] = "1" if field == 1 else "another-boot"
    (make.folder / "pid").write_text(" ".join(words))
    assert not second.adopt()
    second.stop()  # ends nobody
    assert first.alive()


@pytest.mark.parametrize("text", ["", "12", "a b c", "999999999 1 x"])
def test_a_torn_pidfile_is_no_process(make: Made, text: str) -> None:
    (make.folder / "pid").write_text(text)
    assert not make().adopt()


def test_a_dead_process_is_not_adopted(make: Made) -> None:
    first, second = make(), make()
    os.kill(first.start(), signal.SIGKILL)
    until(lambda: not first.alive())
    assert not second.adopt()
    assert first.exit == -signal.SIGKILL


def test_a_process_that_is_still_dying_is_not_dead(make: Made) -> None:
    """Its first thread has ended; another one keeps its files and sockets open."""
    program = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=[60])"
    process = make([sys.executable, "-c", f"{program}.start(); ctypes.CDLL(None).pthread_exit(0)"])
    pid = process.start()
    until(lambda: ") Z " in Path(f"/proc/{pid}/stat").read_text())
    assert look(pid) is not None and process.alive()
    assert not process.ended(0.01)
    os.kill(pid, signal.SIGKILL)
    assert process.ended(PATIENCE) and not process.alive()
    assert process.exit == -signal.SIGKILL


def test_ended_waits_and_says_so(make: Made) -> None:
    process = make([sys.executable, "-c", "raise SystemExit(3)"])
    process.start()
    assert process.ended(PATIENCE)
    assert not process.alive() and process.exit == 3


def test_ended_gives_up_after_its_time(make: Made) -> None:
    process = make()
    process.start()
    assert not process.ended(0.01)


def test_stop_kills_who_does_not_listen_and_its_children(make: Made) -> None:
    child = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True);"
    process = make([sys.executable, "-c", child + DEAF[2]])
    process.start()
    until(lambda: len(process.said()) == 2)
    grandchild = int(process.said()[0])
    process.stop(0.2)
    assert not process.alive() and process.exit == -signal.SIGKILL
    until(lambda: look(grandchild) is None)
    assert not (make.folder / "pid").exists()


def test_stop_is_repeatable(make: Made) -> None:
    process = make()
    process.stop()
    process.start()
    process.stop()
    process.stop()
    assert not process.alive()


def test_said_is_about_this_start_only(make: Made) -> None:
    process = make([sys.executable, "-c", "print('one'); raise SystemExit(1)"])
    for _ in range(2):
        process.start()
        assert process.ended(PATIENCE)
        assert process.said() == ["one"]
    assert (make.folder / "log").read_text() == "one\none\n"


def test_what_a_child_does_not_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert set(environment()) >= {"HTTPS_PROXY", "PATH"}
    assert not set(environment()) & {"OS_PASSWORD", "PYTHONDONTWRITEBYTECODE", "NOTIFY_SOCKET"}


def test_look_reads_odd_names(make: Made) -> None:
    odd = make.folder / "a) R 1 (b"
    odd.symlink_to(sys.executable)
    process = make(["/bin/sleep", "600"])
    seen = look(process.start())
    assert seen is not None and seen.started > 0
    mine = look(os.getpid())
    assert mine is not None and mine.boot == module.BOOT.read_text().strip()
