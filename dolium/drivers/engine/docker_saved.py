"""Images of a Docker Engine as archives: loaded, made of containers, saved."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.drivers.engine import saved
from dolium.drivers.engine.docker_errors import fail
from dolium.drivers.engine.docker_socket import Client, Stream
from dolium.model import reading

SILENT_S = 600.0
"""Longest silence while an engine unpacks, packs or copies layers."""


class Loaded(Struct):
    """One line of what an engine tells while it loads."""

    error: str | None = None


class Saved:
    """The archives of one engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def load(self, name: str, pieces: Iterator[bytes]) -> None:
        """See `base.Engine.load`."""
        body = saved.rewritten(name, pieces)
        with self._client.stream(
            "POST", "/images/load", query={"quiet": "1"}, body=body, timeout_s=SILENT_S
        ) as stream:
            while line := stream.line():
                if (error := _error(line)) is not None:
                    fail(500, error, self._client.what)
        if not self.has(name):
            raise errors.Refused(why="The engine finds no image in the archive")

    def commit(self, handle: str, name: str) -> None:
        """See `base.Engine.commit`."""
        if self.has(name):
            return
        repo, _, tag = name.rpartition(":")
        query = {"container": handle, "repo": repo, "tag": tag, "pause": "1"}
        self._client.raw("POST", "/commit", query=query, body={}, timeout_s=SILENT_S)

    def save(self, name: str) -> Iterator[bytes]:
        """See `base.Engine.save`."""
        if not self.has(name):
            raise errors.Absent(what=f"Image {name}")
        return _read(self._client.stream("GET", f"/images/{name}/get", timeout_s=SILENT_S))

    def has(self, name: str) -> bool:
        """Whether there is an image of the name."""
        try:
            self._client.raw("GET", f"/images/{name}/json")
        except errors.Absent:
            return False
        return True


def _read(stream: Stream) -> Iterator[bytes]:
    with stream:
        while piece := stream.read():
            yield piece


def _error(line: bytes) -> str | None:
    """What went wrong, if the line says so; Podman's lines need not be JSON."""
    try:
        return reading.read(line, Loaded).error
    except msgspec.DecodeError:
        return None
