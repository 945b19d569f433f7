"""`dolium logs`: what a container writes, so far or as it comes.

A lost connection costs nothing: it goes on with the line after the last one. What that rests on:
stamps of one host that don't go backwards. Of a container that was moved to another host, whose
clock may be behind, the first lines there may be missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct

from dolium import errors
from dolium.cli import cloud
from dolium.model.log import Lines

if TYPE_CHECKING:
    from dolium.clients.api import Api

SILENT_S = 660.0
"""A log may be silent; the answer breaks off after ten minutes."""
GONE = 404


class Asked(Struct, frozen=True, kw_only=True):
    """What to show."""

    container: str
    follow: bool = False
    timestamps: bool = False
    tail: str = "all"
    since: str | None = None


def run(name: str | None, asked: Asked) -> int:
    """Print it. name: of a cloud in clouds.yaml."""
    api = cloud.api(name)
    query: dict[str, Any] = {"tail": asked.tail}
    if asked.since is not None:
        query["since"] = asked.since
    # By its id from now on: the next one of that name would have another log.
    uuid = api.get(f"/containers/{quote(asked.container, safe='')}")["uuid"]
    path = f"/containers/{uuid}/logs"
    if asked.follow:
        _follow(api, path, query, asked)
    else:
        cloud.write(api.get(path, timestamps=asked.timestamps, **query).encode())
    return 0


def _follow(api: Api, path: str, query: dict[str, Any], asked: Asked) -> None:
    """To its end."""
    lines = Lines(stamps=asked.timestamps)
    coming_back = cloud.Return(f"the log of {asked.container}")
    while True:
        try:
            with api.stream(path, SILENT_S, follow=True, timestamps=True, **query) as chunks:
                coming_back.arrived()
                for chunk in chunks:
                    cloud.write(lines.feed(chunk))
            return
        except errors.Unanswered as error:
            coming_back.wait(error)
        except errors.Refused as error:
            if lines.place.stamp and error.facts.get("status") == GONE:
                return  # it was deleted meanwhile
            raise
        if lines.place.since:
            query = {"tail": "all", "since": lines.place.since}
        lines = Lines(stamps=asked.timestamps, after=lines.place)
