"""Tar archives in memory."""

from __future__ import annotations

import io
import tarfile


def tar(*files: tuple[str, bytes]) -> bytes:
    """An archive of files by name."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as made:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def untar(data: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        files = {entry.name: found.extractfile(entry) for entry in found}
        return {name: file.read() for name, file in files.items() if file is not None}
