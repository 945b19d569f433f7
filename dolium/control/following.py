"""Logs that are followed: opened on the container's host, and opened again when it runs again.

Who restarts a container, and whether, is not the engine's to know (decision 13), so its log ends
with each run there. Whoever follows it reads one log, whatever made the container run again.
"""

from __future__ import annotations

import codecs
import select
import socket
from typing import Any

from dolium import errors
from dolium.control.questions import question
from dolium.link.base import Hosts
from dolium.model import record
from dolium.model.clock import Clock
from dolium.model.container import QUESTIONS, WRITES_ON, check
from dolium.model.log import Lines, Pieces
from dolium.store import containers
from dolium.store.store import Store

BUFFER = 65536
LOOK_S = 1.0
"""How often to look at what another process may have changed."""
BEFORE_S = 0.1
"""An engine notes that a process has begun a moment after that may have written something."""
AGAIN_S = 5.0
"""After so long the host is asked again, although nothing was heard of a new run."""


class Following:
    """Opens logs; safe to use from many threads."""

    def __init__(self, store: Store, clock: Clock, link: Hosts) -> None:
        self._store, self._clock, self._link = store, clock, link

    def open(self, row: record.Container, *, timestamps: bool = False, **params: Any) -> Log:
        """The log of a container, which may not be on a host yet.

        params: {stdout, stderr, tail, since}. Raises WrongState, HostDown, and what the host does.
        """
        check("logs", QUESTIONS["follow"], row.uuid, row.status)
        log = Log(self._store, self._clock, self._link, row, params, timestamps=timestamps)
        log.begin()
        return log


class Log:
    """One reader's. To be closed; not for several threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        link: Hosts,
        row: record.Container,
        params: dict[str, Any],
        *,
        timestamps: bool,
    ) -> None:
        self._store, self._clock, self._link = store, clock, link
        self._row: record.Container | None = row
        self._topic = f"project:{row.project_id}"
        self._params, self._timestamps = params, timestamps
        self._socket: socket.socket | None = None
        self._pieces = Pieces()
        self._lines = Lines(stamps=timestamps)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._again_at = clock.monotonic()
        self._opened = False
        """It was, at least once."""
        self._run: float | None = None
        """When the run began that was read last."""
        self._last = False
        """It did not run when it was opened: when that ends, all is read."""
        self.ended = False
        """All is read, and the container does not run on."""

    def begin(self) -> None:
        """Open it on the host, unless nothing is there yet."""
        row = self._row
        assert row is not None
        if row.host is None:
            self.ended = row.status not in WRITES_ON
        elif not self._open(row) and row.status not in WRITES_ON:
            raise errors.Absent(what=f"Container {row.uuid}")

    def take(self, seconds: float, client: int | None = None) -> bytes:
        """The next text, as soon as there is some; empty when none came until then, or when the
        client, whose socket's number is given, may have left. Raises HostDown.
        """
        if self._socket is None:
            self._between(seconds)
            return b""
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        if client is not None:
            look.register(client, select.POLLRDHUP)
        found = dict(look.poll(seconds * 1000))
        return self._read(self._socket) if self._socket.fileno() in found else b""

    def close(self) -> None:
        """Nobody reads on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, sock: socket.socket) -> bytes:
        data = sock.recv(BUFFER)
        try:
            text = self._lines.feed(self._pieces.feed(data))
        except ValueError:  # the host is not what it should be
            text = data = b""
        if self._pieces.ended:
            self.close()
            self.ended = self._last
            self._again_at = self._clock.monotonic() + AGAIN_S
        elif not data:
            row = self._row
            raise errors.HostDown(host=row.host if row else "that it was on")
        return self._decoder.decode(text, final=self.ended).encode()

    def _between(self, seconds: float) -> None:
        """Between two runs: open it again, or wait a while, or find that there won't be another."""
        seen = self._store.hints.count(self._topic)
        row = self._row = self._look()
        if row is None or (row.host is None and row.status not in WRITES_ON):
            self.ended = True
            return
        goes_on = row.status in WRITES_ON
        due = (
            not self._opened
            or row.started_at != self._run
            or self._clock.monotonic() >= self._again_at
        )
        if row.host is not None and (due or not goes_on):
            if self._open(row):
                return
            self.ended = not goes_on
        self._store.hints.wait(self._topic, seen, min(seconds, LOOK_S))

    def _look(self) -> record.Container | None:
        assert self._row is not None
        with self._store.glance() as connection:
            return containers.get(connection, self._row.uuid)

    def _open(self, row: record.Container) -> bool:
        """Read on where this reader is; False when the container is not in its engine."""
        assert row.host is not None
        place = self._lines.place
        params = self._params
        if place.since:
            params = params | {"tail": "all", "since": place.since}
        elif self._opened and row.started_at and row.started_at != self._run:
            params = params | {"tail": "all", "since": f"{row.started_at - BEFORE_S:.6f}"}
        self._again_at = self._clock.monotonic() + AGAIN_S
        try:
            self._socket = self._link.open(row.host, question(row, "follow", params))
        except errors.Absent:
            return False
        self._pieces, self._lines = Pieces(), Lines(stamps=self._timestamps, after=place)
        self._opened = True
        self._run, self._last = row.started_at, row.status not in WRITES_ON
        return True
