"""TLS under Cheroot, with the handshake in a worker thread and a bound on its time.

Cheroot's own adapter shakes hands in the thread that accepts: one client that connects and says
nothing holds up all others for as long as the server's time-out. Here it costs no thread at all.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection
from cheroot.ssl import Adapter as Base

from dolium.link.peer import bearer
from dolium.model.metric import HANDSHAKES, Meter

LOG = logging.getLogger(__name__)

SHAKE_S = 5.0
"""How long a handshake may take."""
READ_S = 10.0
"""How long a client may be silent in the middle of a request."""

PEER = "dolium.peer"
"""Where the WSGI environment has the other end's Peer, None when it showed no certificate."""
TAKERS = "dolium.takers"
"""Where it has a list: who is put in there gets the connection's socket after the answer."""


class Adapter(Base):
    """Wraps sockets with whatever context is current."""

    def __init__(self, context: Callable[[], ssl.SSLContext], name: str, meter: Meter) -> None:
        """name: of the server whose handshakes are counted."""
        self._current = context
        self._name, self._meter = name, meter

    def shook(self, result: str) -> None:
        """After each handshake."""
        self._meter.count(HANDSHAKES, self._name, result)

    def bind(self, sock: Any) -> Any:
        """The listening socket stays as it is."""
        return sock

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        """A socket that was accepted; nothing is read from it yet."""
        made = self._current().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return made, {}

    def get_environ(self) -> dict[str, Any]:
        """Nothing is known before the handshake."""
        return {}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        """Cheroot's own buffers."""
        return MakeFile(sock, mode, bufsize)


class Connection(HTTPConnection):
    """Shakes hands in a worker, and leaves the worker whenever it has nothing to say."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._takers: list[Callable[[socket.socket], None]] = []

    def communicate(self) -> bool:
        """One request; False closes the connection, True puts it aside until more is to be read."""
        if not self.ssl_env:
            if not self._speaks():
                return True
            if not self._shake():
                return False
            if not self.socket.pending() and not self._speaks():
                return True
        kept = bool(super().communicate())  # type: ignore[no-untyped-call]
        if not self._takers:
            return kept
        self.linger = True  # Cheroot closes what it read by, and leaves the socket open
        self._takers.pop()(self.socket)
        return False

    def _speaks(self) -> bool:
        look = select.poll()
        look.register(self.socket, select.POLLIN)
        return bool(look.poll(0))

    def _shake(self) -> bool:
        try:
            self.socket.settimeout(SHAKE_S)
            self.socket.do_handshake()
            self.socket.settimeout(min(READ_S, self.server.timeout))
        except (OSError, ValueError) as error:
            LOG.info("no TLS with %s: %s", self.remote_addr, error)
            self.server.ssl_adapter.shook("failed")
            return False
        self.server.ssl_adapter.shook("ok")
        peer = bearer(self.socket.getpeercert())
        self.ssl_env = {"wsgi.url_scheme": "https", "HTTPS": "on", PEER: peer, TAKERS: self._takers}
        return True
