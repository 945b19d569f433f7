"""A person at a terminal: the clients people have, under a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync import client

from tests.live.clients import FOLDER
from tests.live.installation import Owned
from tests.live.place import environment, until

PATIENCE_S = 60.0
connect = partial(client.connect, open_timeout=PATIENCE_S)
PROMPT = "/ # "


class Terminal:
    """One program in a terminal of its own."""

    def __init__(self, command: list[str], variables: dict[str, str], size: tuple[int, int]):
        self.master, slave = pty.openpty()
        self.shown = b""
        self._resize(size)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=environment() | {"PYTHONWARNINGS": "ignore", "TERM": "xterm"} | variables,
        )
        os.close(slave)

    def _resize(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def resize(self, height: int, width: int) -> None:
        """Drag the window's corner."""
        self._resize((height, width))
        self.process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        """As a person does; Enter is a carriage return."""
        os.write(self.master, text.encode())

    def prompted(self) -> bool:
        """Press Enter; whether there is a prompt soon."""
        self.type("\r")
        return bool(self.sees_soon(PROMPT))

    def sees(self, pattern: str) -> str:
        """Wait until this is shown; what was shown until there is not looked at again."""
        found = self.sees_soon(pattern, PATIENCE_S)
        assert found, f"{pattern} is not shown: {self.shown!r}"
        return found

    def sees_soon(self, pattern: str, seconds: float = 1.0) -> str:
        """The same; empty when it does not come in time."""
        until = time.monotonic() + seconds
        while not (found := re.search(pattern.encode(), self.shown)):
            if not self._more(until):
                return ""
        self.shown = self.shown[found.end() :]
        return found[0].decode()

    def ends(self) -> int:
        """Wait for the program's end; returns its status."""
        until = time.monotonic() + PATIENCE_S
        while self._more(until):
            pass
        return self.process.wait(PATIENCE_S)

    def _more(self, until: float) -> bool:
        """Read on; False at the end, or when the time is over."""
        ready, _, _ = select.select([self.master], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # the program has ended
            return False
        self.shown += piece
        return bool(piece)

    def close(self) -> None:
        """Close the window."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self.master)


@contextmanager
def terminal(
    rc: dict[str, str], *command: str, size: tuple[int, int] = (24, 80)
) -> Iterator[Terminal]:
    """`zun …` or `openstack …` as somebody signed in by an openrc's variables types it."""
    made = Terminal([str(FOLDER / command[0]), *command[1:]], rc, size)
    try:
        yield made
    finally:
        made.close()


def works(shell: Terminal) -> None:
    """Everything a person does in a shell."""
    shell.sees("press Enter to continue")
    # What is typed before the client has its terminal in order is lost.
    until(lambda: shell.prompted(), "there is a prompt")
    shell.type("echo typed $((40 + 2))\r")
    shell.sees("typed 42")
    # In a process of its own: BusyBox's shell loses an interrupt that comes while it starts one.
    shell.type('sh -c "echo asleep $((1 + 1)); exec sleep 1000"\r')
    shell.sees("asleep 2")
    shell.type("\x03")
    shell.sees(r"\^C")
    shell.sees(PROMPT)  # a shell that was interrupted throws away what was typed before it
    shell.type("echo awake $((2 + 3)); stty size\r")
    shell.sees("awake 5")
    shell.sees("24 80")
    shell.resize(41, 132)

    def resized() -> bool:
        shell.type("stty size; echo told\r")
        return "41 132" in shell.sees(r"\d+ \d+\r\ntold")

    until(resized, "the window has its new size")
    shell.type("exit 3\r")
    assert shell.ends() == 0  # the clients' own status, whatever the command's is


# --- without a client ------------------------------------------------------------------------


def ask(owned: Owned, uuid: str, command: str = "sh") -> dict[str, Any]:
    """For a console of a command."""
    path = f"/v1/containers/{uuid}/execute?command={command}&interactive=True&run=False"
    asked: dict[str, Any] = owned.client.ask("POST", path)
    return asked


def status(url: str, **headers: str) -> int:
    """Of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
        pass
    return refused.value.response.status_code


def running(owned: Owned, uuid: str, what: str) -> bool:
    """Whether a process with such a command line is inside."""
    top = owned.client.ask("GET", f"/v1/containers/{uuid}/top")
    return any(what in " ".join(row) for row in top["Processes"])
