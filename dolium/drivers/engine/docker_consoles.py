"""Terminals of containers, and of commands inside them, through a Docker Engine's socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from dolium import errors
from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.docker_socket import Client, Demux
from dolium.drivers.engine.process import Process, of_container

BEGIN_S = 5.0
"""How long a command may take until it runs."""
POLL_S = 0.01
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
        if self._of(handle, exec_id).begun:
            raise errors.NoConsole(why=f"Exec {exec_id} was started before")
        body = {"Detach": False, "Tty": True}
        console = self._open(f"/exec/{exec_id}/start", body=body)
        try:
            return structs.replace(console, process=self._begun(handle, exec_id))
        except BaseException:
            console.socket.close()
            raise

    def resize_exec(self, handle: str, exec_id: str, height: int, width: int) -> None:
        """Its terminal. The engine would wait for one that is not started."""
        if not self._of(handle, exec_id).running:
            raise errors.NoConsole(why=f"Exec {exec_id} does not run")
        self._resize(f"/exec/{exec_id}/resize", height, width)

    def process(self, handle: str, exec_id: str) -> Process | None:
        """Its process, if it runs in our sight."""
        try:
            return of_container(self._of(handle, exec_id).pid, handle)
        except errors.NoConsole:
            return None

    def _begun(self, handle: str, exec_id: str) -> Process | None:
        """Wait until it runs; None when it does not, of which its console tells.

        Now, because an engine that can't write to a console any more forgets the command that
        still writes.
        """
        until = time.monotonic() + BEGIN_S
        while time.monotonic() < until:
            try:
                found = self._of(handle, exec_id)
            except errors.NoConsole:
                return None
            if found.pid or found.can_remove:
                return of_container(found.pid, handle)
            time.sleep(POLL_S)
        return None

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
