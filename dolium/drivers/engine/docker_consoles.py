"""Terminals of containers, and of commands inside them, through a Docker Engine's socket."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import structs

from dolium import errors
from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.docker_socket import Client, Demux

OPEN_S = 30.0
"""How long the engine may take until it lets somebody in."""


class Consoles:
    """Part of the Docker driver; see base for what each method is for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def attach(self, handle: str) -> Console:
        """The main process, from now on."""
        found = self._client.ask("GET", f"/containers/{handle}/json", answers.Inspected)
        query = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        path = f"/containers/{handle}/attach"
        console = self._open(path, query=query)
        return console if found.config.tty else structs.replace(console, through=_unframed())

    def resize(self, handle: str, height: int, width: int) -> None:
        """The main process's terminal."""
        found = self._client.ask("GET", f"/containers/{handle}/json", answers.Inspected)
        if not found.config.tty:
            raise errors.NoConsole(why="The container has no terminal, as tty is not set")
        self._resize(f"/containers/{handle}/resize", height, width)

    def create(self, handle: str, argv: list[str]) -> str:
        """A command that is not started yet."""
        body = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": True,
            "Cmd": argv,
        }
        return self._client.ask("POST", f"/containers/{handle}/exec", answers.Id, body=body).id

    def start(self, handle: str, exec_id: str) -> Console:
        """Run it; it can be done once."""
        found = self._of(handle, exec_id)
        if found.running or found.exit_code is not None:
            raise errors.NoConsole(why=f"Exec {exec_id} was started before")
        body = {"Detach": False, "Tty": True}
        return self._open(f"/exec/{exec_id}/start", body=body)

    def resize_exec(self, handle: str, exec_id: str, height: int, width: int) -> None:
        """Its terminal. The engine would wait for one that is not started."""
        if not self._of(handle, exec_id).running:
            raise errors.NoConsole(why=f"Exec {exec_id} does not run")
        self._resize(f"/exec/{exec_id}/resize", height, width)

    def kill(self, handle: str, exec_id: str, name: str | None) -> bool:
        """Signal its process; the engine has no call for it. Only what is surely it."""
        try:
            found = self._of(handle, exec_id)
            if not found.running:
                return False
            descriptor = os.pidfd_open(found.pid)
        except (errors.Absent, errors.NoConsole, OSError):
            return False
        try:
            # The pid may be of another machine's or namespace's counting, or used again.
            if handle not in Path(f"/proc/{found.pid}/cgroup").read_text():
                return False
            if name is not None:
                signal.pidfd_send_signal(descriptor, signal.Signals[name])
        except OSError:
            return False  # it ended meanwhile
        finally:
            os.close(descriptor)
        return True

    def _of(self, handle: str, exec_id: str) -> answers.InspectedExec:
        """A command of this container: ids of other containers' are as good as none."""
        try:
            found = self._client.ask("GET", f"/exec/{exec_id}/json", answers.InspectedExec)
        except errors.Absent:
            found = None
        if found is None or found.container_i_d != handle:
            raise errors.NoConsole(why=f"The container has no exec {exec_id}")
        return found

    def _open(self, path: str, **asked: Any) -> Console:
        sock, early = self._client.stream("POST", path, timeout_s=OPEN_S, **asked).release()
        return Console(socket=sock, early=early)

    def _resize(self, path: str, height: int, width: int) -> None:
        try:
            self._client.raw("POST", path, query={"h": height, "w": width})
        except (errors.Absent, errors.Refused) as error:  # it ended meanwhile
            raise errors.NoConsole(why=str(error)) from None


def _unframed() -> Callable[[bytes], bytes]:
    """Both streams as they came: without a terminal the engine tells them apart."""
    demux = Demux()
    return lambda data: b"".join(text for _, text in demux.feed(data))
