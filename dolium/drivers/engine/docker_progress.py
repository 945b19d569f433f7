"""How far a pull is, of the lines that an engine says about its layers."""

from __future__ import annotations

from msgspec import Struct, field

from dolium.model.image import Progress

COMING, CAME = "Downloading", "Download complete"


class Detail(Struct):
    """Bytes of one layer, as they lie in the registry."""

    current: int = 0
    total: int = 0


class Line(Struct, rename={"detail": "progressDetail"}):
    """One line of a pull."""

    error: str | None = None
    status: str = ""
    stream: str = ""
    id: str = ""
    """Of the layer that it is about."""
    detail: Detail | None = None

    @property
    def trying(self) -> bool:
        """Podman says so before it asks the registry."""
        return (self.status or self.stream).startswith("Trying to pull")


class Layers(Struct):
    """All layers of one pull that were begun. Those that are there already are not counted."""

    of: dict[str, Detail] = field(default_factory=dict)

    def read(self, line: Line) -> Progress:
        """How far all of them are now."""
        if line.status == COMING and line.detail and line.detail.total > 0:
            self.of[line.id] = line.detail
        elif line.status == CAME and (known := self.of.get(line.id)):
            known.current = known.total
        return Progress(
            done=sum(min(each.current, each.total) for each in self.of.values()),
            total=sum(each.total for each in self.of.values()),
        )
