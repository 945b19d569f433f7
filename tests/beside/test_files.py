"""Private files and logs."""

import os
import stat
from pathlib import Path

from dolium.beside import files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_written_files_are_private_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    files.write(path, "new")
    assert files.same(path, "new") and mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_big_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (files.LOG_LIMIT + 1))
    os.close(files.log(log))
    assert files.size(log) == 0 and files.size(tmp_path / "log.1") == files.LOG_LIMIT + 1


def test_tail_leaves_out_what_was_there_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n\nnew\n")
    assert files.tail(log) == ["old", "new"] and files.tail(log, 5) == ["new"]
    assert files.tail(tmp_path / "none") == []
