"""What is configured, and what is when nothing is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dolium import conf, errors


def write(folder: Path, text: str) -> list[Path]:
    file = folder / "dolium.conf"
    file.write_text(text)
    return [file]


def test_nothing_configured_is_what_an_empty_file_says(tmp_path: Path) -> None:
    assert conf.load() == conf.load(write(tmp_path, "")) == conf.Config()


def test_a_file_then_what_was_said_on_the_command_line(tmp_path: Path) -> None:
    files = write(tmp_path, "[DEFAULT]\nstate_dir = /one\ndebug = true\n[api]\nport = 9999\n")
    read = conf.load(files, default={"state_dir": "/two"})
    assert (read.default.state_dir, read.default.debug, read.api.port) == ("/two", True, 9999)
    assert conf.load(default={"state_dir": "/two"}).default.state_dir == "/two"


def test_the_environment_counts_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_API__PORT", "9998")
    assert conf.load().api.port == 9998


@pytest.mark.parametrize(
    "text", ["[api]\nport = many\n", "[agent]\nlook_s = 0\n", "[hosts]\nlease_s = 9\n", "nonsense"]
)
def test_what_can_not_be_read_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(errors.StartError, match="The configuration can't be read: "):
        conf.load(write(tmp_path, text))


def test_nothing_configured_loads_no_library_for_it() -> None:
    program = (
        "import sys; from dolium import conf; conf.load(); print('oslo_config' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "False\n"
