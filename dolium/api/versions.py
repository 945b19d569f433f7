"""Microversions: what the header asks for, and the headers every answer carries."""

from __future__ import annotations

from dolium import errors

LOW, HIGH = 1, 40
"""Minor versions of `container 1.x` that are spoken."""

SERVICE = "container"
HEADER = "OpenStack-API-Version"
ENVIRON = "HTTP_OPENSTACK_API_VERSION"


def named(minor: int) -> str:
    """`1.13`."""
    return f"1.{minor}"


_SPOKEN = {f"{SERVICE} {named(minor)}": minor for minor in range(LOW, HIGH + 1)}
_SPOKEN[f"{SERVICE} latest"] = HIGH

RANGE = [
    ("OpenStack-API-Minimum-Version", f"{SERVICE} {named(LOW)}"),
    ("OpenStack-API-Maximum-Version", f"{SERVICE} {named(HIGH)}"),
    ("Vary", HEADER),
]
"""Headers of every answer below /v1, also when the version asked for is not spoken."""

CHOSEN = {minor: [*RANGE, (HEADER, f"{SERVICE} {named(minor)}")] for minor in range(LOW, HIGH + 1)}
"""Headers by the minor version that is spoken."""


def chosen(header: str | None) -> int:
    """The minor version a request speaks; none asked for is the oldest.

    A header may name several services, separated by commas. Raises WrongVersion.
    """
    if header is None:
        return LOW
    minor = _SPOKEN.get(header)
    if minor is not None:
        return minor
    for entry in header.split(","):
        minor = _SPOKEN.get(" ".join(entry.lower().split()))
        if minor is not None:
            return minor
    raise errors.WrongVersion(version=header, low=named(LOW), high=named(HIGH))
