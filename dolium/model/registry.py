"""A registry: where images come from, and who signs in there."""

from __future__ import annotations

from msgspec import Struct

HIDDEN = "***"
"""What is shown for a password."""


class Registry(Struct, frozen=True, gc=False):
    """One registry of a project. Times are seconds since the epoch."""

    id: int
    uuid: str
    name: str | None
    project_id: str
    user_id: str
    domain: str
    """`quay.io`, `registry.example:5000` or `registry.example/team`."""
    username: str | None
    sealed: str | None
    """The password as it is kept (control/cipher.py)."""
    created_at: float
    updated_at: float | None


class Login(Struct, frozen=True, kw_only=True):
    """What a host needs to pull an image of a registry; it is never written down there."""

    domain: str
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.domain})"


def within(image: str, domain: str) -> str:
    """The image's name in a registry; one that names its own registry stays as it is."""
    first, slash, _ = image.partition("/")
    # Only a dot, a port or `localhost` make the first part a registry.
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"{domain}/{image}"


def holds(domain: str, image: str) -> bool:
    """Whether an image of that full name is surely one of the registry: only then somebody signs
    in, as a password is no other registry's business.
    """
    host = domain.partition("/")[0]
    first = image.partition("/")[0]
    named = "." in first or ":" in first or first == "localhost"
    return named and first == host
