"""Images of the cloud's Glance: found as who asks may see them, read for hosts that need them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from dolium import errors
from dolium.clients.glance import Glance as Client
from dolium.clients.glance import Image
from dolium.model.ident import is_uuid
from dolium.model.image import Pin

DIGESTS = hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}
"""Names that Glance and hashlib give alike; the two have no length of their own."""
NONE = "Images are kept by Glance, which this cloud does not offer."


class Glance:
    """What the control side does with images of Glance."""

    def __init__(self, client: Client | None) -> None:
        """client: None where the configuration names no Glance."""
        self._client = client

    def client(self, field: str, error: type[errors.Invalid] = errors.Invalid) -> Client:
        """For what needs one; raises `error`, naming the field that asked for it."""
        if self._client is None:
            raise error(field=field, why=NONE)
        return self._client

    def pin(self, token: str, ident: str, error: type[errors.Invalid] = errors.Invalid) -> Pin:
        """The image that the token's bearer means by an id, a name or `NAME:TAG`. Raises `error`
        where there is no Glance, ImageMissing, Ambiguous, or Invalid when it can't be used.
        """
        client = self.client("image_driver", error)
        try:
            found = _found(client, token, ident)
        except errors.NotOffered:
            raise error(field="image_driver", why=NONE) from None
        if not found:
            raise errors.ImageMissing(image=ident, why="Glance has none for this project")
        if len(found) > 1:
            raise errors.Ambiguous(kind="image", id=ident)
        return _pin(found[0])

    def search(self, token: str, name: str, *, exact: bool) -> list[Image]:
        """Images whose names contain this, or are exactly this, that the token's bearer sees."""
        client = self.client("image_driver", errors.InvalidQuery)
        try:
            if exact:
                return _found(client, token, name)
            return [each for each in client.images(token) if name in (each.name or "")]
        except errors.NotOffered:
            raise errors.InvalidQuery(field="image_driver", why=NONE) from None

    def read(self, pin: Pin) -> Iterator[bytes]:
        """Its bytes. Raises ImageMissing when Glance has it no longer, and Unanswered, but only to
        who reads: whoever serves many hosts is not to wait for Glance.
        """
        if self._client is None:
            why = "a process of the control side has no [glance] auth_url"
            raise errors.Unanswered(what="Glance", why=why)
        try:
            yield from self._client.read(pin.id)
        except errors.Absent:
            raise errors.ImageMissing(image=pin.id, why="Glance has it no longer") from None
        except errors.NotOffered as error:
            raise errors.Unanswered(what="Glance", why=str(error)) from None


def _found(client: Client, token: str, ident: str) -> list[Image]:
    if is_uuid(ident):
        try:
            return [client.image(ident, token)]
        except errors.Absent:
            return []
    found = client.images(token, ident)
    repo, colon, tag = ident.rpartition(":")
    if not found and colon and repo:
        found = [each for each in client.images(token, repo) if tag in each.tags]
    return found


def _pin(image: Image) -> Pin:
    if image.container_format != "docker":
        why = f"Its container format in Glance is {image.container_format}, not docker."
        raise errors.Invalid(field="image", why=why)
    if image.status != "active":
        raise errors.Invalid(field="image", why=f"Its status in Glance is {image.status}.")
    algorithm, digest = image.os_hash_algo, image.os_hash_value
    if not (algorithm and digest):
        algorithm, digest = "md5", image.checksum
    if not digest or algorithm not in DIGESTS:
        raise errors.Invalid(field="image", why="Glance knows no digest of it.")
    return Pin(id=image.id, algorithm=algorithm, digest=digest)
