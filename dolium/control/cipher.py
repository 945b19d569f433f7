"""Secrets at rest: sealed before they are stored, opened when they are used."""

from __future__ import annotations

import base64
import os
from binascii import Error as NoBase64
from collections.abc import Sequence

from dolium import errors

_BYTES = 32


def new_key() -> str:
    """A random key."""
    return base64.urlsafe_b64encode(os.urandom(_BYTES)).decode()


def is_key(text: str) -> bool:
    """Whether it can be one."""
    try:
        return len(base64.b64decode(text, b"-_", validate=True)) == _BYTES
    except (NoBase64, ValueError):
        return False


class Cipher:
    """Seals with the first key and opens with any, so that keys can be replaced. Keys are Fernet's
    (AES-128-CBC with HMAC-SHA256).
    """

    def __init__(self, keys: Sequence[str], where: str = "secret_key_file") -> None:
        """where: the keys are from, for people."""
        self._keys = list(keys)
        self._where = where

    def seal(self, secret: str) -> str:
        """As it may be stored."""
        from cryptography.fernet import Fernet, MultiFernet  # 40 ms: only where it is needed

        made = MultiFernet([Fernet(key) for key in self._keys])
        return made.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed; raises Unreadable when none of the keys fits."""
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet

        made = MultiFernet([Fernet(key) for key in self._keys])
        try:
            return made.decrypt(sealed).decode()
        except InvalidToken:
            raise errors.Unreadable(where=self._where) from None
