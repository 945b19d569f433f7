"""Terminals of the fake engine: socket pairs whose other sides are left to tests."""

from __future__ import annotations

import socket

from dolium import errors
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.fake_fate import Command, Fate, asked
from dolium.drivers.engine.process import Process


class Consoles(Fate):
    """Part of the fake engine; see base for what each method is for."""

    @asked
    def attach(self, handle: str) -> Console:
        """See base."""
        box = self._running(handle)
        ours, inside = socket.socketpair()
        box.attached.append(inside)
        return Console(socket=ours)

    @asked
    def resize(self, handle: str, height: int, width: int) -> None:
        """See base."""
        box = self._running(handle)
        if not box.spec.tty:
            raise errors.NoConsole(why="The container has no terminal, as tty is not set")
        box.size = (height, width)

    @asked
    def exec_create(self, handle: str, argv: list[str]) -> str:
        """See base."""
        exec_id = f"{next(self._numbers):064x}"
        self.commands[exec_id] = Command(box=self._running(handle), argv=argv)
        return exec_id

    @asked
    def exec_start(self, handle: str, exec_id: str) -> Console:
        """See base."""
        command = self._command(handle, exec_id)
        if command.inside is not None:
            raise errors.NoConsole(why=f"Exec {exec_id} was started before")
        ours, command.inside = socket.socketpair()
        return Console(socket=ours)

    @asked
    def exec_resize(self, handle: str, exec_id: str, height: int, width: int) -> None:
        """See base."""
        command = self._command(handle, exec_id)
        if command.inside is None or command.ended:
            raise errors.NoConsole(why=f"Exec {exec_id} does not run")
        command.size = (height, width)

    @asked
    def exec_process(self, handle: str, exec_id: str) -> Process | None:
        """See base. There is none."""
        return None

    def _command(self, handle: str, exec_id: str) -> Command:
        command = self.commands.get(exec_id)
        if command is None or command.box.handle != handle:
            raise errors.NoConsole(why=f"The container has no exec {exec_id}")
        return command
