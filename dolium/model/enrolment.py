"""How a host gets the certificate that it shows on the link: messages, and what is in a token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from msgspec import Struct

from dolium import errors

MARK = "dolium1"
"""What a token begins with, so that people and scanners for secrets know one."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}")
"""Names of hosts: they stand in certificates, in addresses and in file names of operators."""


class Authority(Struct, frozen=True, kw_only=True):
    """What anybody may know: the certificates that Dolium's own are signed with, as PEM."""

    trusted: str


class Enrol(Struct, frozen=True, kw_only=True):
    """A host's first request, with a token that an operator made for it."""

    host: str
    secret: str
    request: str
    """A certificate signing request as PEM; only its public key counts."""


class Renew(Struct, frozen=True, kw_only=True):
    """Every later one, over the present certificate."""

    request: str


class Certified(Struct, frozen=True, kw_only=True):
    """The answer to both."""

    host: str
    certificate: str
    trusted: str
    until: float
    """When the certificate ends, in seconds since the epoch."""
    deployment: str = ""
    """Id of this installation, which the host marks everything with."""


class Token(Struct, frozen=True):
    """One thing for an operator to copy: whom to trust, and the secret that is good once."""

    fingerprint: bytes
    """SHA-256 of the certificate of Dolium's CA."""
    secret: str

    def __str__(self) -> str:
        return f"{MARK}.{_text(self.fingerprint)}.{self.secret}"


def token(text: str) -> Token:
    """Read one; raises StartError when it is none."""
    mark, _, rest = text.strip().partition(".")
    fingerprint, _, secret = rest.partition(".")
    try:
        read = base64.urlsafe_b64decode(fingerprint + "=")
    except (binascii.Error, ValueError):
        read = b""
    if mark != MARK or len(read) != 32 or not secret:
        raise errors.StartError(
            why="That is no enrolment token; `dolium host token NAME` on a control node makes one"
        )
    return Token(read, secret)


def digest(secret: str) -> str:
    """What is stored of a secret: it has 256 random bits, so a plain SHA-256 tells nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_name(name: str) -> str:
    """The name of a host as it may stand in a certificate; raises Invalid otherwise."""
    if not NAME.fullmatch(name):
        raise errors.Invalid(
            field="host", why="Letters, digits, dots, dashes and underscores make a host's name."
        )
    return name


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
