"""TLS contexts of this process, made of PEM texts and replaced when those change.

TLS 1.3 only between Dolium's own processes, 1.2 and up for users. Keys that control processes
make for themselves never touch a disk: the ssl module reads them from memory files.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from dolium import errors

LIFETIME_S = 24 * 3600
"""From the first to the last second of a certificate; it is renewed when half of it is over."""


class Pems(Struct, frozen=True, kw_only=True):
    """A certificate, its key and whom its bearer trusts."""

    certificate: bytes
    key: bytes
    trusted: bytes = b""
    until: float
    """When the certificate ends, in seconds since the epoch."""

    def due(self, now: float) -> bool:
        """Whether half of its life is over."""
        return now >= self.until - LIFETIME_S / 2


class Identity:
    """What this process shows on the link. New connections use what was taken last."""

    def __init__(self, pems: Pems, *, anybody: bool = False) -> None:
        """anybody: who has no certificate yet may connect too, in order to enrol."""
        self._verify = ssl.CERT_OPTIONAL if anybody else ssl.CERT_REQUIRED
        self.take(pems)

    def take(self, pems: Pems) -> None:
        """From now on show this one."""
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False  # who is there is read from the URI, see peer.py
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_verify_locations(cadata=pems.trusted.decode())
            _load(context, pems.certificate, pems.key)
        server.verify_mode = self._verify
        client.verify_mode = ssl.CERT_REQUIRED
        self.pems, self._server, self._client = pems, server, client

    def server(self) -> ssl.SSLContext:
        """For connections that come in."""
        return self._server

    def client(self) -> ssl.SSLContext:
        """For connections that go out."""
        return self._client


class Files:
    """The server's side of a certificate that an operator gave as files; read again when one
    changes.
    """

    def __init__(self, certificate: Path, key: Path, group: str = "[api]") -> None:
        """group: of the configuration, which names them. Raises StartError when they can't be
        used.
        """
        self._group = group
        self._certificate, self._key = certificate, key
        self._marks = self._look()
        self._context = self._read()

    def server(self) -> ssl.SSLContext:
        """For connections that come in."""
        return self._context

    def refresh(self) -> None:
        """When time has passed; a pair that can't be used leaves the one before in place."""
        marks = self._look()
        if marks != self._marks:
            self._context = self._read()
            self._marks = marks

    def _look(self) -> list[tuple[int, int, int]]:
        try:
            stats = [path.stat() for path in (self._certificate, self._key)]
        except OSError as error:
            raise self._unusable(error) from None
        return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]

    def _read(self) -> ssl.SSLContext:
        context = web()
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise self._unusable(error) from None
        return context

    def _unusable(self, error: Exception) -> errors.StartError:
        return errors.StartError(
            why=f"{self._group} tls_cert {self._certificate} and tls_key {self._key} can't be "
            f"used: {error}"
        )


def web(certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """A server's context for users, who show no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        _load(context, certificate, key)
    return context


def fingerprint(pem: str) -> bytes:
    """SHA-256 of the first certificate of a text."""
    end = pem.find(ssl.PEM_FOOTER)
    try:
        return hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(pem[: end + len(ssl.PEM_FOOTER)].strip())
        ).digest()
    except ValueError:
        raise errors.StartError(why="That is no certificate in the form PEM") from None


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file as a whole, never readable by others in between."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    with _memory(certificate + key) as path:
        context.load_cert_chain(path)


@contextmanager
def _memory(data: bytes) -> Iterator[str]:
    """A name under which the data can be read as long as the block runs."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _no_password() -> bytes:
    raise ValueError("the key has a password")
