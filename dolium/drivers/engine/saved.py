"""Archives of images as `docker save` writes them: what is in one is a user's own and trusted with
nothing.

An engine that loads one gives the names that stand in it, takes a layer that it has already for
the one of the archive, and follows links. So an archive is written anew on its way: files only,
each under its plain path, the manifest last and made here, with one name. It tells of layers only
whose bytes were in the archive, because who knows a layer's digest need not be who may have it.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.model import reading

MANIFEST = "manifest.json"
WRITTEN_HERE = frozenset({MANIFEST, "repositories", "index.json", "oci-layout"})
"""Files that say what is in an archive; but for the manifest they are left out."""
MOST_KEPT = 8 * 2**20
"""Bytes of files that are kept in memory: manifests and configurations have some kilobytes."""
LARGE = 2**20
"""Bytes of a file that is surely no configuration."""
MOST_FILES = 10_000
PIECE = 256 * 1024
BLOCK = tarfile.BLOCKSIZE


class Entry(Struct, rename="pascal"):
    """One image of a manifest."""

    config: str
    layers: tuple[str, ...]


class RootFs(Struct):
    """What a configuration says of the layers."""

    diff_ids: tuple[str, ...] = ()


class Configuration(Struct):
    """The part of an image's configuration that matters here."""

    rootfs: RootFs = msgspec.field(default_factory=RootFs)


def rewritten(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The archive as an engine may load it, its image called `name`. Its end comes only after the
    last of `pieces`; raises Refused.
    """
    return _Archive(name, pieces).pieces()


class _Archive:
    """One archive on its way."""

    def __init__(self, name: str, pieces: Iterator[bytes]) -> None:
        self._name = name
        self._source = _Source(pieces)
        self._kept: dict[str, bytes] = {}
        """Small files by path, with what stands where links do."""
        self._digests: dict[str, frozenset[str]] = {}
        """SHA-256 of files by path: as they are, and of what they hold when compressed."""
        self._links: dict[str, str] = {}

    def pieces(self) -> Iterator[bytes]:
        """The new archive."""
        try:
            with tarfile.open(fileobj=self._source, mode="r|") as tar:  # type: ignore[call-overload]
                for number, entry in enumerate(tar):
                    if number > MOST_FILES:
                        raise _unfit(f"it has more than {MOST_FILES} files")
                    yield from self._entry(tar, entry)
        except (tarfile.TarError, EOFError, UnicodeError) as error:
            raise _unfit(f"it is no tar archive: {error}") from None
        self._source.drain()  # whoever checks the bytes has seen them all now
        yield from _file(MANIFEST, self._manifest())
        yield bytes(2 * BLOCK)

    def _entry(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
        path = _path(entry.name)
        if entry.isdir():
            return
        if not path or path in self._digests or path in self._links:
            raise _unfit(f"it has {path or 'its root'} twice")
        if entry.issym() or entry.islnk():
            folder = posixpath.dirname(path) if entry.issym() else ""
            self._links[path] = _path(posixpath.join(folder, entry.linkname))
            return
        file = tar.extractfile(entry) if entry.isreg() else None
        if file is None:
            raise _unfit(f"{path} is no file")
        known = path in WRITTEN_HERE
        if not known:
            yield _head(path, entry.size)
        read = _Read(keep=entry.size <= LARGE)
        while piece := file.read(PIECE):
            read.feed(piece)
            if not known:
                yield piece
        if not known:
            yield bytes(-entry.size % BLOCK)
        self._digests[path] = read.digests()
        self._keep(path, read)

    def _keep(self, path: str, read: _Read) -> None:
        if read.kept is None:
            return
        self._kept[path] = bytes(read.kept)
        if sum(map(len, self._kept.values())) > MOST_KEPT:
            # Layers are small too sometimes: what is no JSON can be forgotten.
            self._kept = {path: kept for path, kept in self._kept.items() if kept[:1] in b"{["}
        if sum(map(len, self._kept.values())) > MOST_KEPT:
            raise _unfit("it says too much about itself")

    def _manifest(self) -> bytes:
        """A new one."""
        entries = self._read(MANIFEST, list[Entry])
        if len(entries) != 1:
            raise _unfit(f"it has {len(entries)} images, not one")
        config = self._real(entries[0].config)
        layers = [self._real(layer) for layer in entries[0].layers]
        told = self._read(config, Configuration).rootfs.diff_ids
        if len(told) != len(layers):
            raise _unfit(f"it has {len(layers)} layers and tells of {len(told)}")
        for layer, digest in zip(layers, told, strict=True):
            if digest.removeprefix("sha256:") not in self._digests.get(layer, ()):
                raise _unfit(f"its layer {digest} is not in it")
        made: dict[str, Any] = {"Config": config, "RepoTags": [self._name], "Layers": layers}
        return msgspec.json.encode([made])

    def _real(self, path: str) -> str:
        """Where a link leads; each leads to a file or to one more link."""
        path = _path(path)
        for _ in range(len(self._links) + 1):
            if path not in self._links:
                return path
            path = self._links[path]
        raise _unfit(f"{path} leads nowhere")

    def _read(self, path: str, kind: Any) -> Any:
        if path not in self._kept:
            raise _unfit(f"there is no {path}")
        try:
            return reading.read(self._kept[path], kind)
        except msgspec.DecodeError as error:
            raise _unfit(f"{path} can't be read: {error}") from None


class _Source:
    """Pieces as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = bytearray()

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""
        while len(self._left) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._left += piece
        data = bytes(self._left[:size])
        del self._left[:size]
        return data

    def drain(self) -> None:
        """What follows the end of the archive."""
        for _ in self._pieces:
            pass


class _Read:
    """What is found out about a file while it goes by."""

    def __init__(self, *, keep: bool) -> None:
        self.kept: bytearray | None = bytearray() if keep else None
        self._raw, self._inner = hashlib.sha256(), hashlib.sha256()
        self._gzip: Any = None
        self._begun = False

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        if not self._begun:
            self._begun = True
            self._gzip = zlib.decompressobj(31) if piece[:2] == b"\x1f\x8b" else None
        self._raw.update(piece)
        if self.kept is not None:
            self.kept += piece
        if self._gzip is None:
            return
        try:
            while piece and not self._gzip.eof:
                self._inner.update(self._gzip.decompress(piece, PIECE))
                piece = self._gzip.unconsumed_tail
        except zlib.error:
            self._gzip = None  # it only began like one

    def digests(self) -> frozenset[str]:
        """In hexadecimal."""
        found = {self._raw.hexdigest()}
        if self._gzip is not None and self._gzip.eof and not self._gzip.unused_data:
            found.add(self._inner.hexdigest())
        return frozenset(found)


def _path(name: str) -> str:
    """A plain path below the archive's root; one that leads out of it is refused."""
    path = posixpath.normpath(f"/{name}").lstrip("/")
    parts = name.split("/")
    if ".." in posixpath.normpath(name).split("/") or "\0" in name or len(parts) > 64:
        raise _unfit(f"{name!r} leads out of it")
    return path


def _file(path: str, content: bytes) -> Iterator[bytes]:
    yield _head(path, len(content))
    yield content
    yield bytes(-len(content) % BLOCK)


def _head(path: str, size: int) -> bytes:
    entry = tarfile.TarInfo(path)
    entry.size = size
    return entry.tobuf(format=tarfile.GNU_FORMAT)


def _unfit(why: str) -> errors.Refused:
    return errors.Refused(why=f"The image is no archive that `docker save` writes: {why}")
