"""Lines of the log: for people or for programs, and nobody else writes them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli import logs
from dolium.model import trace


def logged(form: logging.Formatter, message: str, *arguments: object, bug: bool = False) -> str:
    held = io.StringIO()
    stream, logger = logging.StreamHandler(held), logging.Logger("dolium.x")
    stream.setFormatter(form)
    logger.addHandler(stream)
    try:
        if bug:
            raise KeyError("secret")
        logger.warning(message, *arguments)
    except KeyError:
        logger.exception(message, *arguments)
    return held.getvalue()


def test_people_read_the_request_after_the_logger() -> None:
    assert logged(logs.Text(), "it %s", "ran").endswith(" WARNING dolium.x: it ran\n")
    with trace.of("req-1"):
        assert logged(logs.Text(), "it ran").endswith(" WARNING dolium.x [req-1]: it ran\n")
    assert "[" not in logged(logs.Text(), "it ran")


def test_no_path_forges_a_line() -> None:
    line = logged(logs.Text(), "GET %s", "/a\n2026 ERROR dolium: stolen\r\x1b[2J")
    assert line.count("\n") == 1 and "\x1b" not in line and "\\x0a2026 ERROR" in line


def test_a_traceback_stays_readable() -> None:
    assert logged(logs.Text(), "a bug", bug=True).count("\n") > 3


def test_programs_read_an_object_on_each_line() -> None:
    with trace.of("req-1"):
        line = logged(logs.Json("agent", "node1"), 'it "%s"\n', "ran", bug=True)
    assert line.count("\n") == 1
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "dolium.x", 'it "ran"\n')
    assert (told["request_id"], told["role"], told["host"]) == ("req-1", "agent", "node1")
    assert told["time"].endswith("Z") and "KeyError" in told["traceback"]


@contextmanager
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The root logger as a process has it at its start."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    for name in logs.LIBRARIES:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    root.handlers[:] = []
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


def test_up_tells_the_terminal_what_needs_attention(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log"
    with new_process(monkeypatch):
        logs.begin(conf.Config(), file=file)
        logging.getLogger("dolium.x").info("quiet")
        logging.getLogger("dolium.x").warning("loud")
        logging.getLogger("urllib3").warning("library")
    assert [word in file.read_text() for word in ("quiet", "loud", "library")] == [
        True,
        True,
        False,
    ]
    err = capsys.readouterr().err
    assert "loud" in err and "quiet" not in err
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_role_tells_standard_error_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default = conf.Default(log_format="json", host="node1")
    with new_process(monkeypatch):
        logs.begin(conf.Config(default=default), role="agent")
        logging.getLogger("dolium.x").info("quiet")
    told = json.loads(capsys.readouterr().err)
    assert (told["message"], told["role"], told["host"]) == ("quiet", "agent", "node1")


def test_another_form_is_refused() -> None:
    with pytest.raises(errors.StartError, match="log_format"):
        conf.load(default={"log_format": "xml"})


def test_a_request_is_named_for_a_while() -> None:
    assert trace.current() == ""
    with trace.of():
        trace.name("req-1")
        with trace.of("req-2"):
            assert trace.current() == "req-2"
        assert trace.current() == "req-1"
    assert trace.current() == ""
