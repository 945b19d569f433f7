"""The command line as a whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dolium.cli import main


@pytest.mark.parametrize(
    ("filename", "said"),
    [
        ("/var/lib/dolium", "dolium: /var/lib/dolium: No space left on device\n"),
        (None, "dolium: No space left on device\n"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    filename: str | None,
    said: str,
) -> None:
    def full(arguments: object) -> object:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), filename)

    monkeypatch.setattr(main, "config_of", full)
    assert main.main(["serve", "--role", "agent"]) == 1
    assert capsys.readouterr().err == said
