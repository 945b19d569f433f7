"""One Dolium per state directory, and a word about it that never names somebody else."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from dolium import errors
from dolium.beside.process import look
from dolium.cli.main import main
from dolium.cli.state import Running, State


def me() -> Running:
    process = look(os.getpid())
    assert process
    return Running(
        pid=process.pid,
        started=process.started,
        api="http://127.0.0.1:1/v1",
        identity="http://127.0.0.1:1/v3",
        engine_socket="/nowhere.sock",
        own_engine=True,
    )


def test_a_second_one_is_kept_out_and_told_who_is_there(tmp_path: Path) -> None:
    first, second = State(tmp_path / "s"), State(tmp_path / "s")
    with first.held():
        first.tell(me())
        with pytest.raises(errors.StartError, match=rf"pid {os.getpid()}"), second.held():
            pass
    with second.held():
        pass


def test_a_recycled_pid_is_no_dolium(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.tell(me())
    assert state.running() == me()
    state.tell(msgspec.structs.replace(me(), started=me().started + 1))
    assert state.running() is None
    state.untell()
    assert state.read() is None


def test_commands_say_one_sentence_when_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "none")
    assert main(["status", "--state-dir", folder]) == 1
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["engine", "--state-dir", folder]) == 1
    assert "No Dolium runs with the state directory" in capsys.readouterr().err
    assert main(["down", "--state-dir", folder]) == 0
    assert main(["db", "version", "--state-dir", folder]) == 0
    assert "no database yet" in capsys.readouterr().out


def test_a_bad_option_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dolium.conf"
    file.write_text("[api]\nport = many\n")
    assert main(["status", "--config", str(file)]) == 1
    assert "port" in capsys.readouterr().err
