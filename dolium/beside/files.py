"""Private files; a kill at any moment leaves the old or the new text, never half of one."""

from __future__ import annotations

import os
from pathlib import Path

LOG_LIMIT = 10 * 2**20
"""Bytes after which a log is set aside at the next start; one older log is kept."""


def folder(path: Path) -> Path:
    """Make `path` a folder that only its owner may enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def same(path: Path, text: str) -> bool:
    """Whether the file is there and says exactly `text`."""
    try:
        return path.read_text() == text
    except FileNotFoundError:
        return False


def write(path: Path, text: str) -> None:
    """Replace a file in one step, readable for its owner only and safe on disk before it shows."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)  # an old leftover may have had another mode
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def log(path: Path) -> int:
    """Open a log for appending (0600), setting a big one aside; the caller closes it."""
    try:
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.1"))
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def tail(path: Path, since: int = 0, most: int = 16384) -> list[str]:
    """The last non-empty lines of a log that were written after byte `since`."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= end else 0, end - most))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in lines if line.strip()]


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
