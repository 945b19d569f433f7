"""A program of the operator's as a fence: whatever turns a machine off there (IPMI, a PDU, a
hypervisor's tool) is a line in a script.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import NoReturn

from msgspec import Struct

from dolium import errors
from dolium.drivers.fence.base import Driver

LONGEST_SAID = 200
"""Characters of the program's last line that a log gets."""


class CommandOptions(Struct, frozen=True, kw_only=True):
    """Which program, and how long it may take."""

    program: list[str]
    """The program with its arguments; the host's name is added. No shell reads it."""
    timeout_s: float = 60.0


class Command(Driver):
    """Exit status 0 of the program says that the host is off for certain."""

    name = "command"
    Options = CommandOptions

    def __init__(self, options: CommandOptions) -> None:
        self._options = options
        if not options.program:
            raise errors.StartError(why="[fence_command] program is not set")

    def off(self, host: str) -> str:
        """See base."""
        program = self._options.program[0]
        try:
            process = subprocess.Popen(
                [*self._options.program, host],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise errors.Refused(why=f"{program} can't be run: {error.strerror}") from None
        with process:
            try:
                said, _ = process.communicate(timeout=self._options.timeout_s)
            except subprocess.TimeoutExpired:
                self._give_up(process, program)
        if process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2][:LONGEST_SAID]
            raise errors.Refused(why=f"{program} ended with {process.returncode}: {last}")
        return f"{os.path.basename(program)} says that it is off"

    def _give_up(self, process: subprocess.Popen[bytes], program: str) -> NoReturn:
        # With all it started, which would keep its output open; it is a session of its own.
        os.killpg(process.pid, signal.SIGKILL)
        why = f"no end within {self._options.timeout_s} s"
        raise errors.Unanswered(what=program, why=why)
