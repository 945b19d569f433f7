"""What containers write, through a Docker Engine's socket: so far, and as it comes.

Measured with Docker 28: a line of more than 16 KiB comes in parts, each with the line's stamp
again. When a container ends, the answer may end before what was written last is in it. Podman
sends not even the head of an answer before a container has written something.
"""

from __future__ import annotations

from typing import Any

from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.docker_socket import Body, Client, Demux
from dolium.model import log

PART = 16 * 1024
"""Bytes of a line that an engine keeps together."""
LONGEST_HEAD = 64 * 1024
"""Bytes of an answer's head."""


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
        )
        return Console(socket=stream.unread(), through=_Told(tty=tty))

    def _tty(self, handle: str) -> bool:
        """Whether it has a terminal: then the engine does not tell its streams apart."""
        path = f"/containers/{handle}/json"
        return self._client.ask("GET", path, answers.Inspected).config.tty


def query(*, stdout: bool, stderr: bool, tail: str, since: int | str) -> dict[str, Any]:
    """What is asked for."""
    return {"stdout": int(stdout), "stderr": int(stderr), "tail": tail, "since": since}


class _Told:
    """Makes of an engine's whole answer the pieces that travel on; see model/log.py."""

    def __init__(self, *, tty: bool) -> None:
        self._head = b""
        self._body: Body | None = None
        self._stamped: _Terminal | _Streams = _Terminal() if tty else _Streams()
        self._ended = False

    def __call__(self, data: bytes) -> bytes:
        """Raises ConnectionError for an answer that is none."""
        if self._body is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                if len(head) > LONGEST_HEAD:
                    raise ConnectionError("the engine's answer does not begin")
                return b""
            self._body = _body(head)
        made = log.piece(self._stamped.feed(self._body.feed(data) if data else b""))
        if self._body.over and not self._ended:
            self._ended = True
            made += log.END
        return made


def _body(head: bytes) -> Body:
    """What follows on an answer's head."""
    first, *lines = head.split(b"\r\n")
    if first.split()[1:2] != [b"200"]:
        raise ConnectionError(f"the engine said {first.decode(errors='replace')}")
    named = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in lines)
    }
    length = named.get(b"content-length")
    chunked = named.get(b"transfer-encoding", b"").lower() == b"chunked"
    return Body(int(length) if length else None, chunked=chunked)


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
