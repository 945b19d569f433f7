"""The five calls of a Docker engine that `demo/images` needs, over its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

DEFAULT_HOST = "unix:///var/run/docker.sock"
# A registry that answered the probe but sends nothing for this long has gone (seconds).
PULL_SILENCE = 30.0


class EngineError(Exception):
    """The engine could not be reached, or refused; the text says what it said."""

    def __init__(self, text: str, status: int = 0) -> None:
        """`status` is the engine's HTTP status, 0 if there was none."""
        super().__init__(text)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """A Docker engine, found by an address as in DOCKER_HOST (`unix:///path`)."""

    def __init__(self, host: str = DEFAULT_HOST) -> None:
        """Raise EngineError for an address that is not a unix socket."""
        if not host.startswith("unix://"):
            raise EngineError(f"DOCKER_HOST={host}: only unix:// sockets are understood here")
        self._path = host.removeprefix("unix://")

    def info(self) -> dict[str, Any]:
        """What the engine says of itself (`docker info`)."""
        found: dict[str, Any] = json.loads(self._call("GET", "/info"))
        return found

    def find(self, name: str) -> dict[str, Any] | None:
        """The engine's description of an image, or None if it has no image of that name."""
        try:
            found: dict[str, Any] = json.loads(self._call("GET", f"/images/{name}/json"))
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        return found

    def pull(self, name: str) -> None:
        """Fetch an image from its registry; EngineError carries the registry's own words."""
        repository, _, tag = name.rpartition(":")
        query = urllib.parse.urlencode({"fromImage": repository, "tag": tag})
        self._stream("POST", f"/images/create?{query}", timeout=PULL_SILENCE)

    def load(self, archive: Path) -> None:
        """Load an archive as `docker save` writes them."""
        with archive.open("rb") as body:
            self._stream("POST", "/images/load?quiet=1", body, archive.stat().st_size)

    def remove(self, name: str) -> None:
        """Remove an image; one that a container uses stays and raises EngineError."""
        self._call("DELETE", f"/images/{name}")

    def _call(self, method: str, path: str) -> bytes:
        return b"".join(self._answer(method, path, None, 0, 60.0))

    def _stream(
        self,
        method: str,
        path: str,
        body: IO[bytes] | None = None,
        size: int = 0,
        timeout: float = 600.0,
    ) -> None:
        """Read a stream of JSON progress lines to its end: an error in it is the outcome."""
        for line in self._answer(method, path, body, size, timeout):
            if line.strip() and "error" in (said := json.loads(line)):
                raise EngineError(said["error"])

    def _answer(
        self, method: str, path: str, body: IO[bytes] | None, size: int, timeout: float
    ) -> Iterator[bytes]:
        connection = _UnixConnection(self._path, timeout)
        headers = {"Content-Length": str(size), "Content-Type": "application/x-tar"}
        try:
            connection.request(method, path, body, headers if body else {})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise EngineError(_message(answer.read()), answer.status)
            yield from answer
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"the engine at {self._path} does not answer: {error}") from error
        finally:
            connection.close()

    def __str__(self) -> str:
        """Return the socket's path, for messages."""
        return self._path


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()
