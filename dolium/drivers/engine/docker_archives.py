"""Files inside a Docker Engine's containers: a path copied out, a tar unpacked."""

from __future__ import annotations

import io
import posixpath
import tarfile
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

    def inject(self, handle: str, path: str, content: bytes) -> None:
        """Write one file, whose folders are made where they are missing."""
        folder = posixpath.dirname(path)
        while not self._has(handle, folder):
            folder = posixpath.dirname(folder)
        self.put(handle, folder, packed(posixpath.relpath(path, folder), content))

    def _has(self, handle: str, folder: str) -> bool:
        try:
            self.check(handle, folder)
        except errors.NoPath:
            return folder == "/"
        return True

    def check(self, handle: str, path: str) -> None:
        """Raise NoPath unless the path is there."""
        with _found(path):
            self._client.raw("HEAD", f"/containers/{handle}/archive", query={"path": path})

    def put(self, handle: str, path: str, data: bytes) -> None:
        """Unpack a tar in a folder; raises NoPath, and Refused for a file where a folder is."""
        query = {"path": path, "noOverwriteDirNonDir": "1"}
        with _found(path):
            self._client.raw("PUT", f"/containers/{handle}/archive", query=query, body=data)


def packed(name: str, content: bytes) -> bytes:
    """A tar of one file and the folders around it. All in the container may read them: it is the
    user's own, and who runs in it need not be root.
    """
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            folder = tarfile.TarInfo("/".join(parts[:depth]))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        file = tarfile.TarInfo(name)
        file.size, file.mode = len(content), 0o644
        tar.addfile(file, io.BytesIO(content))
    return output.getvalue()


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
