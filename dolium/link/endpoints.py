"""The WSGI side of the https link: one table of calls, each for certain roles."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.link.handshake import PEER, TAKERS
from dolium.link.peer import Peer
from dolium.link.wire import PREFIX, UPGRADE, refusal
from dolium.model import reading
from dolium.model.clock import Clock
from dolium.model.metric import CALLS, Meter

LOG = logging.getLogger(__name__)

JSON = "application/json"
REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
RESULTS = {200: "ok", errors.Untrusted.status: "refused"}
"""What calls are counted as, by status; all else has failed."""


class Call(Struct):
    """One call under way."""

    peer: Peer | None
    message: Any
    headers: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """What the answer shall bear besides."""
    taker: Callable[[socket.socket], None] | None = None
    """Who gets the connection, to speak another protocol on; then nothing else is answered."""


class Endpoint(Struct, frozen=True):
    """One thing that can be called."""

    message: type[Struct]
    roles: tuple[str, ...]
    """Whose certificates may; empty: who has none yet may too."""
    work: Callable[[Call], Any]


class Endpoints:
    """A WSGI application."""

    def __init__(
        self,
        table: Mapping[str, Endpoint],
        admit: Callable[[Peer], None],
        clock: Clock,
        meter: Meter | None = None,
    ) -> None:
        """admit: raises Untrusted for a peer that has lost its rights."""
        self._table = {f"{PREFIX}{name}": endpoint for name, endpoint in table.items()}
        self._admit = admit
        self._clock = clock
        self._meter = meter or Meter()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; never raises."""
        peer: Peer | None = environ.get(PEER)
        call, begun = Call(peer, None), time.monotonic()
        try:
            status, body = 200, self._answer(environ, call)
        except errors.Error as error:
            if isinstance(error, errors.Untrusted):
                who = f"{peer.role} {peer.name}" if peer else "somebody without a certificate"
                LOG.warning("refused %s (%s): %s", who, environ.get("REMOTE_ADDR"), error)
            status, body = error.status, refusal(error)
        except Exception:
            LOG.exception("%s: a bug", environ.get("PATH_INFO"))
            status, body = 500, refusal(errors.Error())
        self._count(environ.get("PATH_INFO", ""), status, time.monotonic() - begun)
        if call.taker is not None:
            environ[TAKERS].append(call.taker)
            start(REASONS[101], [("Connection", "Upgrade"), ("Upgrade", UPGRADE)])
            return []
        head = [("Content-Type", JSON), ("Content-Length", str(len(body))), *call.headers]
        start(REASONS[status], head)
        return [body]

    def _count(self, path: str, status: int, seconds: float) -> None:
        name = path.removeprefix(PREFIX) if path in self._table else "unknown"
        self._meter.took(CALLS, seconds, name, RESULTS.get(status, "failed"))

    def _answer(self, environ: dict[str, Any], call: Call) -> bytes:
        path = environ.get("PATH_INFO", "")
        endpoint = self._table.get(path)
        if endpoint is None or environ.get("REQUEST_METHOD") != "POST":
            raise errors.NotFound(kind="Call", id=path)
        self._check(endpoint, call.peer)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            call.message = reading.read(body, endpoint.message)
        except msgspec.DecodeError as error:
            raise errors.Malformed(why=f"can't be read: {error}") from None
        return msgspec.json.encode(endpoint.work(call))

    def _check(self, endpoint: Endpoint, peer: Peer | None) -> None:
        if not endpoint.roles:
            return
        if peer is None:
            raise errors.Untrusted(why="A certificate of Dolium's CA is needed for that")
        if peer.until < self._clock.now():  # it ended while the connection was open
            raise errors.Untrusted(why=f"The certificate of {peer.role} {peer.name} has expired")
        if peer.role not in endpoint.roles:
            raise errors.Untrusted(why=f"That is not for a {peer.role}")
        self._admit(peer)
