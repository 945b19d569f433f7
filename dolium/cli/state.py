"""The state directory: who may use it, and what a running Dolium tells other commands there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.beside.process import look
from dolium.model import reading


class Running(Struct, frozen=True, kw_only=True):
    """What `dolium up` writes down for `status`, `down`, `engine` and `gateway`."""

    pid: int
    started: int
    """The process's start in clock ticks after boot, so that a recycled pid is no Dolium."""
    api: str
    identity: str
    engine_socket: str
    own_engine: bool


class State:
    """One state directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "dolium.sqlite"
        self.agent = folder / "agent"
        self.log = folder / "dolium.log"
        self._running = folder / "running.json"

    @property
    def has_agent(self) -> bool:
        """Whether there has been an agent here."""
        return (self.agent / "journal.sqlite").exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other Dolium out while this one runs."""
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.agent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise errors.StartError(
                why=f"The state directory {self.folder} can't be used: {error.strerror}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            running = self.read()
            who = f" (pid {running.pid})" if running else ""
            agent = "first (an agent: `systemctl stop dolium-agent`)"
            how = "with `dolium down`" if running else agent
            raise errors.StartError(
                why=f"Another Dolium{who} uses {self.folder}; "
                f"stop it {how}, or choose another --state-dir"
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)

    def tell(self, running: Running) -> None:
        """Write down that everything answers."""
        new = self._running.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(msgspec.json.encode(running))
        new.replace(self._running)

    def untell(self) -> None:
        """Nothing runs any more."""
        self._running.unlink(missing_ok=True)

    def read(self) -> Running | None:
        """What the last `dolium up` told, running or not."""
        try:
            return reading.read(self._running.read_bytes(), Running)
        except (OSError, msgspec.DecodeError):
            return None

    def running(self) -> Running | None:
        """What it told, if exactly that process still runs."""
        told = self.read()
        if told is None:
            return None
        process = look(told.pid)
        return told if process and process.started == told.started else None
