"""What every role logs, and how: one line for each thing, with the request it was done for."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dolium import conf
from dolium.model import trace

LIBRARIES = ("keystonemiddleware", "keystoneauth", "urllib3", "oslo", "alembic")
"""What they have to say about each request is not for people who watch a service."""

_CONTROL = {number: f"\\x{number:02x}" for number in (*range(32), 127)}
"""Whoever asks for a strange path must not write lines of the log by that."""


def begin(config: conf.Config, *, file: Path | None = None, role: str = "") -> None:
    """At start, before anything is logged.

    file: all of it goes there, and what needs somebody's attention to standard error too;
    without one, all of it goes to standard error, where systemd takes it. role: of the process.
    """
    console = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [console]
    if file is not None:
        console.setLevel(logging.WARNING)
        file.touch(mode=0o600)
        handlers.append(logging.handlers.WatchedFileHandler(file))
    as_json = config.default.log_format == "json"
    form: logging.Formatter = Json(role, config.host) if as_json else Text()
    for handler in handlers:
        handler.setFormatter(form)
    logging.basicConfig(
        level=logging.DEBUG if config.default.debug else logging.INFO, handlers=handlers
    )
    logging.raiseExceptions = False  # a full disk is told once, not with each line that it loses
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)


class Text(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s%(request)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, without the traceback that may follow it."""
        request_id = trace.current()
        record.request = f" [{request_id}]" if request_id else ""
        return super().formatMessage(record).translate(_CONTROL)


class Json(logging.Formatter):
    """For programs: an object on each line."""

    def __init__(self, role: str, host: str) -> None:
        super().__init__()
        self._about = {"role": role, "host": host} if role else {"host": host}

    def format(self, record: logging.LogRecord) -> str:
        """The whole line."""
        when = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, Any] = {
            "time": f"{when:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": trace.current() or None,
            "thread": record.threadName,
            **self._about,
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()
