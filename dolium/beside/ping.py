"""Who answers behind an engine's socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

SOCKET_LIMIT = 107
"""Bytes that the kernel allows in the path of a socket."""


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket instead of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ping(path: Path, timeout: float = 5.0) -> str:
    """The name and version of the engine behind `path`, such as `Docker/20.10.24 (linux)`.

    Raises OSError where nothing answers; PermissionError means that root would get an answer.
    """
    headers, body = _get(path, "/_ping", timeout)
    if body.strip() != b"OK":
        raise ConnectionError(f"/_ping answered {body[:80]!r}")
    return headers.get("Server", "an engine without a name")


def whole(path: Path, timeout: float = 5.0) -> bool:
    """Whether a dockerd answers and reaches its containerd, without which it can't run anything.

    It names a containerd among its components only then; after a restart of containerd that takes
    up to 3 s (gRPC waits before it connects again).
    """
    try:
        _, body = _get(path, "/version", timeout)
    except OSError:
        return False
    return any(part["Name"] == "containerd" for part in json.loads(body).get("Components", ()))


def _get(path: Path, what: str, timeout: float) -> tuple[http.client.HTTPMessage, bytes]:
    connection = Connection(path, timeout)
    try:
        connection.request("GET", what)
        response = connection.getresponse()
        if response.status != 200:
            raise ConnectionError(f"{what} answered {response.status}")
        return response.headers, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"it does not speak HTTP ({error!r})") from error
    finally:
        connection.close()
