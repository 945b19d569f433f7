"""What a container writes: so far, or as it comes.

Following is an addition to Zun's API. The text goes on over restarts of the container. An answer
that is complete means that the log is; one that breaks off, that whoever wants the rest comes
back: with `timestamps` and, as `since`, the stamp of the line read last (model/log.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields
from dolium.api.call import Answer, Call
from dolium.api.fields import Check, Wrong
from dolium.api.forms import Form
from dolium.api.route import CONTAINER, Route
from dolium.api.streams import BrokenOff
from dolium.control.following import Log
from dolium.model.container import QUESTIONS, check

LONGEST_S = 600
"""After so long an answer breaks off, and the token has to be shown again."""
LOOK_S = 2.0
"""How often to look whether the server stops."""
STALL_S = 60.0
"""How long a reader may take nothing. What it does not take is nowhere kept: it waits."""
MEDIA = "text/plain; charset=utf-8"

_encode = msgspec.json.encode


def _tail(value: Any) -> str:
    text = str(value)
    return text if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else "all"


def _since(value: Any) -> str:
    text = str(value)
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text, re.ASCII):
        return text
    for form in ("%Y-%m-%d %H:%M:%S,%f", "%Y-%m-%d %H:%M:%S"):
        try:
            return str(int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()))
        except ValueError:
            continue
    raise Wrong(f"{text!r} is neither seconds since the epoch nor YYYY-MM-DD HH:MM:SS,mmm")


TAIL = Check(_tail, {})
"""A number of lines from the end; all else is `all`."""

_TIME = r"^([0-9]{1,12}(\.[0-9]{1,9})?|\d{4}-\d\d?-\d\d? \d\d?:\d\d?:\d\d?(,\d{1,6})?)$"
SINCE = Check(_since, {"type": ["string", "number"], "pattern": _TIME})
"""Seconds since the epoch, maybe with a fraction, or `YYYY-MM-DD HH:MM:SS,mmm` in UTC."""

LOGS = Form(
    checks={
        **dict.fromkeys(("stdout", "stderr", "timestamps", "follow"), fields.toggle),
        "tail": TAIL,
        "since": SINCE,
    }
)


def logs(call: Call) -> Answer:
    """`GET logs?stdout=&stderr=&timestamps=&tail=&since=&follow=`: JSON; text that is followed."""
    given = call.given
    follow = given.pop("follow", False)
    if not given.get("stdout", True) and not given.get("stderr", True):
        given |= {"stdout": True, "stderr": True}
    if follow:
        return _followed(call, given)
    check("logs", QUESTIONS["logs"], call.row.uuid, call.row.status)
    if "since" in given:  # fractions count for who follows
        given["since"] = int(given["since"].partition(".")[0])
    return Answer(200, _encode(call.service.questions.logs(call.context, call.row, **given)))


def _followed(call: Call, given: dict[str, Any]) -> Answer:
    log = call.service.following.open(call.row, **given)
    try:
        stream = call.service.streams.open(_Text(call, log))
    except errors.Crowded:
        log.close()
        raise
    return Answer(200, stream=stream, media=MEDIA)


class _Text:
    """The chunks of an answer; `close` hangs up on the host, also before the first one."""

    def __init__(self, call: Call, log: Log) -> None:
        self._log = log
        self._chunks = _chunks(call, log)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._log.close()


def _chunks(call: Call, log: Log) -> Iterator[bytes]:
    """Raises BrokenOff unless all is read."""
    clock, closing, client = call.service.clock, call.service.streams.closing, call.client
    end = clock.monotonic() + LONGEST_S
    number = None
    if client is not None:
        client.begin(STALL_S)
        number = client.fileno()
    while not log.ended:
        left = end - clock.monotonic()
        if closing.is_set() or left <= 0 or (client is not None and client.left()):
            raise BrokenOff
        try:
            text = log.take(min(left, LOOK_S), number)
        except errors.Error as error:
            raise BrokenOff from error
        if text:
            yield text


ROUTES = (
    Route(
        "GET",
        f"{CONTAINER}/logs",
        logs,
        "container:logs",
        params=LOGS,
        told=str,
        media=("application/json", "text/plain"),
    ),
)
