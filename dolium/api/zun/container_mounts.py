"""Mounts of a creation: files that are given with it; volumes can't be asked for yet."""

from __future__ import annotations

import posixpath
from typing import Any

from dolium import conf, errors
from dolium.api import fields
from dolium.api.fields import Check, Wrong

BIND, VOLUME = "bind", "volume"
LONGEST_PATH = 4096

_CHECKS: dict[str, Check] = {
    "type": fields.choice(None, BIND, VOLUME),
    "source": fields.text(1, null=False),
    "destination": fields.text(1, LONGEST_PATH, null=False),
    "size": fields.whole(1, null=False),
}


def _mount(value: dict[str, Any]) -> dict[str, Any]:
    if "source" not in value and "size" not in value:
        raise Wrong("It needs a 'source' or a 'size'")
    return value


MOUNTS = fields.array(fields.record(_CHECKS, ["destination"]).then(_mount))
"""Each with a destination, and a source or a size."""


def files(asked: list[dict[str, Any]], limits: conf.Limits) -> list[dict[str, Any]]:
    """The mounts as they are wished: one file each, whose content is the source in base 64."""
    places = set()
    for mount in asked:
        if mount.get("type") != BIND:
            raise errors.Invalid(field="mounts", why="Volumes are not available yet.")
        if "size" in mount or "source" not in mount:
            raise errors.Invalid(field="size", why="A mount of type bind has a source instead.")
        content = fields.decoded("source", mount["source"])
        if len(content) > limits.file:
            why = f"The file is larger than {limits.file} bytes."
            raise errors.Invalid(field="source", why=why)
        place = mount["destination"]
        if not place.startswith("/") or posixpath.normpath(place) != place or place == "/":
            why = f"Value: '{place}'. It is not the absolute path of a file."
            raise errors.Invalid(field="destination", why=why)
        if place in places:
            raise errors.Invalid(field="destination", why=f"Value: '{place}'. It comes twice.")
        places.add(place)
    return asked
