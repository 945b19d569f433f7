"""An image on a host, as an administrator asked for it."""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct


class Stage(StrEnum):
    """What a host has still to do about an image."""

    PULLING = "pulling"
    PRESENT = "present"
    FAILED = "failed"
    """The registry, or the host, said no; `reason` tells why."""
    REMOVING = "removing"


OPEN = (Stage.PULLING, Stage.REMOVING)
"""Something is to be done."""


class Progress(Struct, frozen=True):
    """How far a pull is, in bytes as they come from the registry."""

    done: int = 0
    total: int = 0
    """Of all that was begun; 0: nothing was, or the engine does not tell."""

    @property
    def text(self) -> str:
        """For people."""
        if not self.total:
            return "Pulling image"
        return f"Pulling image: {self.done >> 20} of {-(-self.total >> 20)} MiB"


class Image(Struct, frozen=True, gc=False):
    """One image of one host. Times are seconds since the epoch."""

    id: int
    uuid: str
    host: str
    repo: str
    tag: str
    """Or a digest, `sha256:...`."""
    project_id: str
    user_id: str
    stage: str
    """A Stage, as the bare string it is stored as."""
    reason: str | None
    image_id: str | None
    """The engine's own id, once it is there."""
    size: int | None
    """Bytes."""
    created_at: float
    updated_at: float | None

    @property
    def name(self) -> str:
        """What an engine calls it."""
        return f"{self.repo}{'@' if ':' in self.tag else ':'}{self.tag}"


class Held(Struct, frozen=True, kw_only=True):
    """What an engine says of an image it has."""

    id: str
    size: int


class Found(Struct, frozen=True, kw_only=True):
    """One answer to a search in a registry."""

    name: str
    description: str = ""
    is_official: bool = False
    star_count: int = 0


OWN = "dolium.invalid/"
"""What names of images begin with that only Dolium gives: no registry can ever be there."""


class Pin(Struct, frozen=True, kw_only=True):
    """Which image of Glance is meant, whatever becomes of its name there, and what its bytes are
    known by.
    """

    id: str
    algorithm: str
    """As hashlib calls it."""
    digest: str

    @property
    def name(self) -> str:
        """What an engine calls it, whatever its archive says."""
        return f"{OWN}glance:{self.id}"


class Source(Struct, frozen=True, kw_only=True):
    """Where a container's image comes from."""

    image: str
    """As it was asked for."""
    driver: str
    pin: Pin | None = None


def snapshot(image_id: str) -> str:
    """What an engine calls what was committed, until Glance has it under this id."""
    return f"{OWN}commit:{image_id}"


SANDBOX = f"{OWN}sandbox:1"
"""The image of capsules' sandboxes, which nobody else's can take the place of. Another program gets
another number."""


def reserved(name: str) -> bool:
    """Whether a name is not for users: it is Dolium's own, or an engine's id of an image, which
    says nothing about who may have that.
    """
    return name.startswith((OWN, "sha256:")) or _ID.fullmatch(name) is not None


_ID = re.compile("[0-9a-f]{64}")
_NAME = re.compile(
    r"(?:[a-zA-Z0-9\[][a-zA-Z0-9.\-\]:]*/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


def is_name(text: str) -> bool:
    """Whether an engine can read it."""
    return _NAME.fullmatch(text) is not None


def parts(name: str) -> tuple[str, str]:
    """Repository and tag of a name; without a tag it is `latest`."""
    repo, at, digest = name.partition("@")
    if at:
        return repo, digest
    path, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{path}{slash}{last}", tag or "latest"
