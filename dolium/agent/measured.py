"""An engine whose calls are measured, and logged for the request they are made for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, cast

from dolium import errors
from dolium.drivers.engine.base import Engine
from dolium.model.metric import ENGINE, ENGINE_ERRORS, Meter

LOG = logging.getLogger(__name__)

CALLS = (
    *("facts", "pull", "wire", "unwire", "wired", "create", "start", "rejoin", "stop", "kill"),
    *("pause", "unpause", "update", "remove", "look", "listing", "logs", "execute", "top", "stats"),
    *("attach", "resize", "exec_create", "exec_start", "exec_resize", "exec_process"),
    *("get_archive", "put_archive", "connect", "disconnect"),
)
"""What is measured: all but what only reads a file or never ends."""


def measured(engine: Engine, meter: Meter) -> Engine:
    """The engine; what it answers and raises stays as it is."""
    return cast("Engine", _Measured(engine, meter))


class _Measured:
    def __init__(self, engine: Engine, meter: Meter) -> None:
        self._engine = engine
        for name in CALLS:
            setattr(self, name, _measured(name, getattr(engine, name), meter))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _measured(name: str, call: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    def measuring(*arguments: Any, **named: Any) -> Any:
        begun, result = time.monotonic(), "ok"
        try:
            return call(*arguments, **named)
        except errors.Error as error:
            result = error.code
            meter.count(ENGINE_ERRORS, name, error.code)
            raise
        finally:
            seconds = time.monotonic() - begun
            meter.took(ENGINE, seconds, name)
            # Who called logs a failure, once; this is for who looks for what took so long.
            LOG.debug("engine: %s took %.0f ms: %s", name, seconds * 1000, result)

    return measuring
