"""Images of the fake engine as archives, which are real ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import msgspec

from dolium import errors
from dolium.drivers.engine import saved
from dolium.drivers.engine.fake_fate import Fate, Image, asked
from dolium.model import reading


def archive(image: Image, content: bytes = b"") -> bytes:
    """As `docker save` writes it; content: of its only layer, a tar."""
    layer = content or bytes(2 * tarfile.BLOCKSIZE)
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Cmd": image.command,
            "Entrypoint": image.entrypoint,
            "Env": [f"{name}={value}" for name, value in image.environment],
            "WorkingDir": image.workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    told = msgspec.json.encode(config)
    named = f"{hashlib.sha256(told).hexdigest()}.json"
    manifest = [{"Config": named, "RepoTags": None, "Layers": ["layer.tar"]}]
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, data in (
            (named, told),
            ("layer.tar", layer),
            (saved.MANIFEST, msgspec.json.encode(manifest)),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return output.getvalue()


class Saved(Fate):
    """The part of the engine that reads and writes archives."""

    @asked
    def load(self, name: str, pieces: Iterator[bytes]) -> None:
        """See base."""
        data = b"".join(saved.rewritten(name, pieces))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            (entry,) = _member(tar, saved.MANIFEST)
            config = _member(tar, entry["Config"])["config"]
        self.images[entry["RepoTags"][0]] = Image(
            command=tuple(config.get("Cmd") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            environment=tuple(tuple(pair.split("=", 1)) for pair in config.get("Env") or ()),
            workdir=config.get("WorkingDir") or "",
        )

    @asked
    def commit(self, handle: str, name: str) -> None:
        """See base."""
        if name not in self.images:
            self.images[name] = self._box(handle).image

    @asked
    def save(self, name: str) -> Iterator[bytes]:
        """See base."""
        if name not in self.images:
            raise errors.Absent(what=f"Image {name}")
        return iter([archive(self.images[name])])


def _member(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    assert file is not None
    return reading.read(file.read(), Any)
