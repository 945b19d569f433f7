"""Files inside a container of the fake engine: enough to copy something in and out again."""

from __future__ import annotations

import io
import posixpath
import tarfile

from dolium import errors
from dolium.drivers.engine.base import Archive, Stat
from dolium.model.clock import iso

Files = dict[str, bytes | None]
"""Content by absolute path; None: a folder."""

FOLDERS: Files = dict.fromkeys(("/", "/etc", "/root", "/tmp"))  # noqa: S108 - inside the fake
"""What an image has."""

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
_IS_FOLDER = 1 << 31
"""How Go writes it into a mode."""


def get(files: Files, path: str, most: int, at: float) -> Archive:
    """A path and all below it as a tar; raises NoPath, Oversized."""
    whole = posixpath.normpath(posixpath.join("/", path))
    if whole not in files:
        raise errors.NoPath(path=path)
    name = posixpath.basename(whole) or "/"
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for each in sorted(files):
            if each == whole or each.startswith(whole.rstrip("/") + "/"):
                _add(tar, f"{name}{each[len(whole) :]}", files[each])
    data, content = output.getvalue(), files[whole]
    if len(data) > most:
        raise errors.Oversized(what=f"The archive of {path}", most=most)
    mode = _FILE_MODE if content is not None else _IS_FOLDER | _FOLDER_MODE
    stat = Stat(name=name, size=len(content or b""), mode=mode, mtime=f"{iso(at)}Z")
    return Archive(stat=stat, data=data)


def _add(tar: tarfile.TarFile, name: str, content: bytes | None) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = _FILE_MODE if content is not None else _FOLDER_MODE
    entry.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    entry.size = len(content or b"")
    tar.addfile(entry, io.BytesIO(content or b""))


def inject(files: Files, path: str, content: bytes) -> None:
    """Write one file, and folders around it."""
    folder = posixpath.dirname(path)
    while folder not in files:
        files[folder] = None
        folder = posixpath.dirname(folder)
    if path in files and files[path] is None:
        raise errors.Refused(why=f"{path} is a directory")
    files[path] = content


def put(files: Files, path: str, data: bytes) -> None:
    """Unpack a tar in a folder; raises NoPath, Refused."""
    whole = posixpath.normpath(posixpath.join("/", path))
    if whole not in files:
        raise errors.NoPath(path=path)
    if files[whole] is not None:
        raise errors.Refused(why=f"{path} is not a directory")
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for entry in tar:
                found = tar.extractfile(entry)
                place = posixpath.normpath(posixpath.join(whole, entry.name.lstrip("/")))
                files[place] = found.read() if found else None
    except tarfile.TarError as error:
        raise errors.Refused(why=str(error)) from None
