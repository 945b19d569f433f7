"""The keys that seal secrets in the database: made at the first start, the same for all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dolium import conf, errors
from dolium.beside import files
from dolium.control import cipher
from dolium.control.cipher import Cipher
from dolium.store import registries
from dolium.store.store import Store


def cipher_of(config: conf.Config, store: Store) -> Cipher:
    """Raises StartError unless the keys open what is in the database."""
    path = config.secret_key_file
    with store.glance() as connection:
        sealed = registries.newest_sealed(connection)
    try:
        if sealed is None and not path.exists():
            make(path)
        made = Cipher(_read(path), str(path))
    except OSError as error:
        raise errors.StartError(
            why=f"The key file {path} can't be used ({error.strerror}); the database has passwords "
            "that were sealed with it on another control node, or earlier on this one: copy it"
            if sealed is not None
            else f"The key file {path} can't be made: {error.strerror}"
        ) from None
    if sealed is not None:
        try:
            made.open(sealed)
        except errors.Unreadable:
            raise errors.StartError(
                why=f"The key file {path} does not open the passwords in the database: take that "
                "of another control node, or of a backup"
            ) from None
    return made


def _read(path: Path) -> list[str]:
    if path.stat().st_mode & 0o007:
        raise errors.StartError(why=f"The key file {path} can be read by everybody: chmod 600")
    lines = path.read_text(errors="replace").split()
    if not lines or not all(map(cipher.is_key, lines)):
        raise errors.StartError(why=f"The key file {path} has a line that is no key")
    return lines


def make(path: Path) -> None:
    """A new one, unless there is one, or another process of this machine is quicker."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    files.write(new, f"{cipher.new_key()}\n")
    with contextlib.suppress(FileExistsError):
        os.link(new, path)
    new.unlink()
