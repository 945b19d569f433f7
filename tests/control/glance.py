"""A Glance in memory, with faults on demand; what a real one does is in tests/live."""

from __future__ import annotations

import hashlib
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from dolium import errors
from dolium.clients.glance import Glance, Image

PUBLIC = ""


class FakeGlance(Glance):
    """Implements clients.glance.Glance."""

    def __init__(self, project_of: Callable[[str], str] = str) -> None:
        """project_of: of a token's bearer."""
        self._project_of = project_of
        self.kept: dict[str, Image] = {}
        self.owners: dict[str, str] = {}
        self.content: dict[str, bytes] = {}
        self.fault: Callable[[str], None] = lambda what: None
        """Told of what is about to be done; may raise."""

    def keep(self, name: str, content: bytes, owner: str = PUBLIC, **more: object) -> str:
        """An image with its bytes."""
        ident = str(uuids.uuid4())
        known: dict[str, object] = {"status": "active", "container_format": "docker"}
        self.kept[ident] = Image(id=ident, name=name, **(known | more))  # type: ignore[arg-type]
        self.owners[ident] = owner
        self._fill(ident, content)
        return ident

    def _fill(self, ident: str, content: bytes) -> None:
        self.content[ident] = content
        self.kept[ident] = replace(
            self.kept[ident],
            os_hash_algo="sha512",
            os_hash_value=hashlib.sha512(content).hexdigest(),
            size=len(content),
        )

    def _sees(self, token: str, ident: str) -> bool:
        return self.owners[ident] in (PUBLIC, self._project_of(token))

    def images(self, token: str, name: str | None = None) -> list[Image]:
        self.fault("images")
        return [
            image
            for ident, image in self.kept.items()
            if self._sees(token, ident) and name in (None, image.name)
        ]

    def image(self, ident: str, token: str = "") -> Image:
        self.fault("image")
        if ident not in self.kept or (token and not self._sees(token, ident)):
            raise errors.Absent(what=f"/v2/images/{ident}")
        return self.kept[ident]

    def create(self, ident: str, name: str, tag: str, token: str) -> None:
        self.fault("create")
        self.kept[ident] = Image(
            id=ident, name=name, status="queued", container_format="docker", tags=(tag,)
        )
        self.owners[ident] = self._project_of(token)

    def delete(self, ident: str) -> None:
        self.fault("delete")
        self.kept.pop(ident, None)
        self.content.pop(ident, None)

    def read(self, ident: str) -> Iterator[bytes]:
        self.fault("read")
        if ident not in self.content:
            raise errors.Absent(what=f"The content of image {ident}")
        content = self.content[ident]
        return (content[at : at + 1000] for at in range(0, len(content), 1000))

    def write(self, ident: str, pieces: Iterable[bytes]) -> None:
        self.fault("write")
        if self.image(ident).status != "queued":
            raise errors.Taken(why="Glance: Conflict")
        self.kept[ident] = replace(self.kept[ident], status="saving")
        try:
            content = b"".join(pieces)
        except BaseException:
            self.kept[ident] = replace(self.kept[ident], status="queued")
            raise
        self.fault("written")
        self._fill(ident, content)
        self.kept[ident] = replace(self.kept[ident], status="active")
