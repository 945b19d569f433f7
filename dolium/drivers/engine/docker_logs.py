"""What containers write, through a Docker Engine's socket: so far, and as it comes.

Measured with Docker 28: a line of more than 16 KiB comes in parts, each with the line's stamp
again. When a container ends, the answer may end before what was written last is in it.
"""

from __future__ import annotations

from typing import Any

from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.docker_socket import Body, Client, Demux
from dolium.model import log

PART = 16 * 1024
"""Bytes of a line that an engine keeps together."""
OPEN_S = 30.0
"""How long the engine may take until it begins to tell."""


class Logs:
    """Part of the Docker driver; see base for what each method is for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, handle: str, query: dict[str, Any]) -> bytes:
        """All of it until now."""
        tty = self._tty(handle)
        output = self._client.raw("GET", f"/containers/{handle}/logs", query=query)
        return output if tty else b"".join(text for _, text in Demux().feed(output))

    def follow(self, handle: str, query: dict[str, Any]) -> Console:
        """As it comes, with stamps."""
        tty = self._tty(handle)
        stream = self._client.stream(
            "GET",
            f"/containers/{handle}/logs",
            query=query | {"follow": 1, "timestamps": 1},
            headers={"Connection": "close"},  # so that the end of the log ends the socket
            timeout_s=OPEN_S,
        )
        sock, body, early = stream.part()
        return Console(socket=sock, through=_Told(body, early, tty=tty))

    def _tty(self, handle: str) -> bool:
        """Whether it has a terminal: then the engine does not tell its streams apart."""
        path = f"/containers/{handle}/json"
        return self._client.ask("GET", path, answers.Inspected).config.tty


def query(*, stdout: bool, stderr: bool, tail: str, since: int | str) -> dict[str, Any]:
    """What is asked for."""
    return {"stdout": int(stdout), "stderr": int(stderr), "tail": tail, "since": since}


class _Told:
    """Makes of an engine's answer the pieces that travel on; see model/log.py."""

    def __init__(self, body: Body, early: bytes, *, tty: bool) -> None:
        self._body = body
        self._early = early
        self._stamped: _Terminal | _Streams = _Terminal() if tty else _Streams()
        self._ended = False

    def __call__(self, data: bytes) -> bytes:
        """Called once with nothing, then for each read. Raises ConnectionResetError."""
        text, self._early = self._early, b""
        if data:
            text += self._body.feed(data)
        made = log.piece(self._stamped.feed(text))
        if self._body.over and not self._ended:
            self._ended = True
            made += log.END
        return made


class _Streams:
    """Both streams as they came, each line with one stamp."""

    def __init__(self) -> None:
        self._demux = Demux()
        self._midst = False

    def feed(self, data: bytes) -> bytes:
        made = bytearray()
        for _, text in self._demux.feed(data):
            made += text.partition(b" ")[2] if self._midst else text
            self._midst = not text.endswith(b"\n")
        return bytes(made)


class _Terminal:
    """A terminal's output, each line with one stamp."""

    def __init__(self) -> None:
        self._held = b""
        """Bytes that may be a stamp's beginning."""
        self._stamp = b""
        """Of the line, with the space after it; empty: a line begins."""
        self._left = 0
        """Bytes until the line has the stamp again, if it is so long."""

    def feed(self, data: bytes) -> bytes:
        made = bytearray()
        self._held += data
        while self._held:
            if not self._stamp:
                stamp, space, _ = self._held.partition(b" ")
                if not space:
                    break
                self._stamp, self._left = stamp + space, PART
                made += self._stamp
                self._held = self._held[len(self._stamp) :]
            elif self._left:
                self._take(made)
            elif len(self._held) < len(self._stamp) and self._stamp.startswith(self._held):
                break
            else:
                self._held = self._held.removeprefix(self._stamp)
                self._left = PART
        return bytes(made)

    def _take(self, made: bytearray) -> None:
        end = self._held.find(b"\n", 0, self._left) + 1
        taken = self._held[: end or self._left]
        made += taken
        self._held = self._held[len(taken) :]
        self._left -= len(taken)
        if end:
            self._stamp = b""
