"""What both ends of the https link agree on: paths, and the messages that only travel there.

Every call is a POST of a JSON message to PREFIX and its name. The answer is 200 and a message, or
another status and an error as {"code", "facts"}.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.model import reading

PREFIX = "/link/v1/"

CROWDED = "Retry-After"
"""Header of a poll that was answered early for want of room: come back after so many seconds."""

UPGRADE = "dolium-console"
"""The protocol that a connection is switched to by `console`, a terminal's bytes as they are, or
the frames of a stream (link/stream.py); and by `image`, a stream.
"""

MOST_ASKED = 8 * 2**20
"""Bytes of a message; a batch of facts has at most 1 MB. Anybody may send as much."""
MOST_ANSWERED = 64 * 2**20
"""Bytes of an answer; a full page of a thousand containers has 3 MB."""


class Pull(Struct, frozen=True, kw_only=True):
    """Control.wishes."""

    host: str
    boot: str
    since: int
    wait_s: float


class Strangers(Struct, frozen=True, kw_only=True):
    """Control.fate."""

    host: str
    uuids: tuple[str, ...]


class Pulling(Struct, frozen=True, kw_only=True):
    """Control.login and Control.image."""

    host: str
    boot: str
    uuid: str


class Topics(Struct, frozen=True, kw_only=True):
    """Hints that one control process gives another."""

    topics: tuple[str, ...]


class Nothing(Struct, frozen=True):
    """A question or an answer without content."""


class Refusal(Struct, frozen=True, kw_only=True):
    """An error on the wire."""

    code: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


def refusal(error: errors.Error) -> bytes:
    """An error as it travels."""
    told = Refusal(code=error.code, facts=error.facts)
    return msgspec.json.encode(told, enc_hook=str)


def revived(status: int, body: bytes) -> errors.Error:
    """The error that the other side raised, or one that says what came instead."""
    try:
        told = reading.read(body, Refusal)
        return errors.revive(told.code, told.facts)
    except (msgspec.DecodeError, LookupError, TypeError):
        return errors.Unanswered(what="The link", why=f"it said {status}")
