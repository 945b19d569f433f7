"""`dolium events`: changes of a project's containers as they happen, each once and in order."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.cli import cloud
from dolium.model import reading

SILENT_S = 45.0
"""Three of the signs of life that the API gives."""
FORGOTTEN = 410


class Told(Struct, frozen=True, kw_only=True):
    """One change as the API tells it; see docs/howto/events.md."""

    uuid: str
    what: str
    at: str
    name: str | None = None
    status: str | None = None
    status_reason: str | None = None
    status_detail: str | None = None
    task_state: str | None = None


class Event(Struct, frozen=True):
    """One server-sent event."""

    number: str
    kind: str
    data: bytes


def run(name: str | None, since: int | None, *, as_json: bool) -> int:
    """Print them until somebody interrupts. name: of a cloud in clouds.yaml."""
    api = cloud.api(name)
    last = None if since is None else str(since)
    coming_back = cloud.Return("the stream of changes")
    while True:
        query: dict[str, Any] = {} if last is None else {"since": last}
        try:
            with api.stream("/events", SILENT_S, **query) as chunks:
                for event in events(chunks):
                    coming_back.arrived()
                    last = event.number
                    if event.kind != "begin":
                        _print(event, as_json=as_json)
            coming_back.rest()
        except errors.Unanswered as error:
            coming_back.wait(error)
        except errors.Refused as error:
            if error.facts.get("status") != FORGOTTEN or last == str(since):
                raise
            sys.stderr.write(f"dolium: some changes were missed: {error}\n")
            last = None


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Of the lines of a stream (html.spec.whatwg.org, 9.2.6), as far as the API writes them."""
    held, fields = b"", dict[str, bytes]()
    for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b":")
            if name:
                fields[name.decode()] = value.removeprefix(b" ")
            elif not line:
                if "data" in fields:
                    number, kind = fields["id"].decode(), fields["event"].decode()
                    yield Event(number, kind, fields["data"])
                fields = {}


def _print(event: Event, *, as_json: bool) -> None:
    line = b'{"kind":"%s",%s' % (event.kind.encode(), event.data[1:])
    if not as_json:
        line = readable(event.kind, reading.read(event.data, Told)).encode()
    cloud.write(line + b"\n")


def readable(kind: str, told: Told) -> str:
    """`2026-11-26 09:12:44  observed  container  web  0c9c…  Creating, image_pulling, …`."""
    state = (told.status, told.task_state, told.status_detail, told.status_reason)
    words = [told.at[:19], f"{told.what:<8}", f"{kind:<9}", told.name or "-", told.uuid]
    return "  ".join([*words, ", ".join(filter(None, state))]).rstrip()
