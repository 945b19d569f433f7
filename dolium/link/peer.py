"""Who is at the other end of a connection, by the certificate it showed.

A certificate of Dolium's CA names its bearer in one URI: `dolium://host/NAME/GENERATION` or
`dolium://control/NAME`. Nothing else in it is looked at, so it needs no DNS name, and a host can't
pass for a web server whatever it is called.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

CONTROL = "control"
HOST = "host"
SCHEME = "dolium://"


class Peer(Struct, frozen=True, kw_only=True):
    """The bearer of a certificate."""

    role: str
    """control or host."""
    name: str
    generation: int = 0
    """Of the host's enrolment: a revoked or renewed enrolment has a higher one."""
    until: float = 0.0
    """When the certificate ends, in seconds since the epoch."""


def uri(role: str, name: str, generation: int = 0) -> str:
    """How a certificate names its bearer."""
    last = f"/{generation}" if role == HOST else ""
    return f"{SCHEME}{role}/{quote(name, safe='')}{last}"


def read(text: str) -> Peer | None:
    """The bearer that a URI names; None when it is another kind of URI."""
    if not text.startswith(SCHEME):
        return None
    role, *parts = text.removeprefix(SCHEME).split("/")
    if role == CONTROL and len(parts) == 1:
        return Peer(role=role, name=unquote(parts[0]))
    if role == HOST and len(parts) == 2 and parts[1].isascii() and parts[1].isdigit():
        return Peer(role=role, name=unquote(parts[0]), generation=int(parts[1]))
    return None


def bearer(certificate: Mapping[str, Any] | None) -> Peer | None:
    """The bearer of a certificate as the ssl module shows it; None for one that is not ours."""
    if not certificate:
        return None
    names = certificate.get("subjectAltName", ())
    found = [peer for kind, text in names if kind == "URI" and (peer := read(text))]
    if len(found) != 1:
        return None
    (peer,) = found
    until = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    return Peer(role=peer.role, name=peer.name, generation=peer.generation, until=until)
