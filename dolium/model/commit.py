"""A commit: a container becomes an image of Glance."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Stage(StrEnum):
    """How far one is."""

    OPENED = "opened"
    """Glance is being asked for the image's record."""
    ASKED = "asked"
    """The container's host is to make the image."""
    MADE = "made"
    """The host has it; its bytes are to go to Glance."""
    KEPT = "kept"
    """Glance has them; the host has to forget it."""
    FAILED = "failed"
    """For good: the host and Glance have to forget it."""


class Commit(Struct, frozen=True):
    """One that is not over."""

    image_id: str
    """In Glance."""
    container_uuid: str
    stage: str
    """A Stage, as the bare string it is stored as."""
    host: str | None
    """Where the container was when it was asked for, then where the image was made."""
    generation: int | None
    """Of its action; None while it is opened."""
    created_at: float
