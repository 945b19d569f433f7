"""Files inside a Docker Engine's containers: a path copied out, a tar unpacked."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

from dolium import errors
from dolium.drivers.engine.base import Archive, Stat
from dolium.drivers.engine.docker_socket import Client
from dolium.model import reading

STAT = "X-Docker-Container-Path-Stat"
"""Header with what the path is, JSON in base 64."""
COPY_S = 60.0
"""Longest silence while something is copied."""


class Archives:
    """Copies through one engine's socket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, handle: str, path: str, most: int) -> Archive:
        """A path and all below it; raises NoPath, Oversized."""
        with (
            _found(path),
            self._client.stream(
                "GET", f"/containers/{handle}/archive", query={"path": path}, timeout_s=COPY_S
            ) as stream,
        ):
            stat = reading.read(b64decode(stream.header(STAT)), Stat)
            kept = bytearray()
            while piece := stream.read():
                kept += piece
                if len(kept) > most:
                    raise errors.Oversized(what=f"The archive of {path}", most=most)
        return Archive(stat=stat, data=bytes(kept))

    def check(self, handle: str, path: str) -> None:
        """Raise NoPath unless the path is there."""
        with _found(path):
            self._client.raw("HEAD", f"/containers/{handle}/archive", query={"path": path})

    def put(self, handle: str, path: str, data: bytes) -> None:
        """Unpack a tar in a folder; raises NoPath."""
        with _found(path):
            self._client.raw(
                "PUT", f"/containers/{handle}/archive", query={"path": path}, body=data
            )


@contextmanager
def _found(path: str) -> Iterator[None]:
    """What is not there is the path, unless the engine says that it is the container."""
    try:
        yield
    except errors.Absent as error:
        what = str(error.facts["what"])
        if what.startswith("Container ") or "no such container" in what:
            raise
        raise errors.NoPath(path=path) from None
