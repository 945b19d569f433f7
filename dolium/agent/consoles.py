"""Consoles of this host's containers: a terminal's bytes, between the engine and who was let in;
and logs that somebody follows, which are carried in the same way.

A command whose console went away, in whatever way, is hung up as a terminal would do it. Which
ones have a console is in the journal, so that none outlives a killed agent either.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.agent.journal import Journal
from dolium.drivers.engine.base import Console, Engine
from dolium.drivers.engine.process import Process, hang_up
from dolium.link.pump import Pump
from dolium.model.wish import Question

LOG = logging.getLogger(__name__)

KIND = "console"
"""Of entries in the journal, by the command's id."""
GRACE_S = 2.0
"""What a command may still do after it was told that its terminal is gone."""


class Opened(Struct, frozen=True, kw_only=True):
    """A command that has a console, or had one until its agent was killed."""

    handle: str
    """Of its container in the engine."""
    process: Process | None = None
    """None: it was about to be started, or is not in our sight."""


class Consoles:
    """Opens them; what is open is closed by `stop`."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine, self._journal = engine, journal
        self._pump = Pump("consoles")
        self._logs = Pump("logs")  # apart, or who types would wait for who writes much
        self._left: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """Commands whose consoles are gone."""
        self._thread = threading.Thread(target=self._run, name="consoles-end", daemon=True)

    def start(self) -> None:
        """When the agent starts: end what an earlier one, which was killed, has left."""
        for exec_id in self._journal.all(KIND, Opened):
            self._left.put(exec_id)
        self._thread.start()

    def stop(self) -> None:
        """When the agent stops: close all."""
        self._pump.stop()
        self._logs.stop()
        if self._thread.is_alive():
            self._left.put(None)
            self._thread.join(2 * GRACE_S)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._pump)

    def open(self, handle: str, question: Question) -> Line:
        """`attach`, `exec_start` with {exec_id}, or `follow` with {stdout, stderr, tail, since};
        raises what the engine does.
        """
        params = question.params
        if question.what == "attach":
            return Line(self._pump, self._engine.attach(handle))
        if question.what == "follow":
            return Line(self._logs, self._engine.follow(handle, **_followed(params)))
        if question.what != "exec_start":
            raise errors.NotOffered(driver="Dolium's agent", what=f"the console {question.what}")
        exec_id = params["exec_id"]
        console = self._started(handle, exec_id)
        return Line(self._pump, console, lambda: self.leave(exec_id))

    def _started(self, handle: str, exec_id: str) -> Console:
        if self._journal.get(KIND, exec_id, Opened):
            raise errors.NoConsole(why=f"Exec {exec_id} was started before")
        self._journal.put(KIND, exec_id, Opened(handle=handle))
        try:
            console = self._engine.exec_start(handle, exec_id)
        except errors.NoConsole:
            self._journal.drop(KIND, exec_id)
            raise
        except BaseException:
            self.leave(exec_id)  # it may have been started
            raise
        if console.process is not None:
            self._journal.put(KIND, exec_id, Opened(handle=handle, process=console.process))
        return console

    def leave(self, exec_id: str) -> None:
        """Nobody is at a command's console any more; or nobody ever was."""
        self._left.put(exec_id)

    def _run(self) -> None:
        while True:
            some = [self._left.get()]
            while not self._left.empty():
                some.append(self._left.get())
            try:
                self._hang_up({exec_id for exec_id in some if exec_id is not None})
            except errors.Error as error:
                LOG.warning("commands without a console are ended by the next start: %s", error)
            except Exception:
                LOG.exception("commands without a console were not ended: a bug")
            if None in some:
                return

    def _hang_up(self, exec_ids: set[str]) -> None:
        found: dict[str, Process | None] = {}
        for exec_id in exec_ids:
            opened = self._journal.get(KIND, exec_id, Opened)
            if opened is None:
                continue
            try:
                process = opened.process or self._engine.exec_process(opened.handle, exec_id)
            except errors.DriverError as error:
                LOG.warning("command %s is ended by the agent's next start: %s", exec_id, error)
            else:
                found[exec_id] = process
        hang_up([process for process in found.values() if process is not None], GRACE_S)
        for exec_id in found:
            self._journal.drop(KIND, exec_id)


class Line:
    """A console that nobody is at yet; implements link.base.Line."""

    def __init__(
        self, pump: Pump, console: Console, ended: Callable[[], None] = lambda: None
    ) -> None:
        """ended: called once somebody was there and has gone, or the process has ended."""
        self._pump, self._console, self._ended = pump, console, ended

    def join(self, far: socket.socket) -> None:
        """Somebody is."""
        console = self._console
        self._pump.join(
            console.socket,
            far,
            early=console.early,
            through=console.through,
            ended=self._ended,
        )


def _followed(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "stdout": params.get("stdout", True),
        "stderr": params.get("stderr", True),
        "tail": str(params.get("tail") or "all"),
        "since": str(params.get("since") or ""),
    }
