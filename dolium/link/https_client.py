"""Keep-alive connections to one address of the https link."""

from __future__ import annotations

import http.client
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.client import HTTPMessage, HTTPResponse, HTTPSConnection

from dolium import errors
from dolium.link.peer import Peer, bearer
from dolium.link.wire import MOST_ANSWERED, PREFIX, UPGRADE, revived

LOG = logging.getLogger(__name__)

CONNECT_S = 3.0
"""How long a connection and its handshake may take."""
MOST_IDLE = 8
IDLE_S = 45.0
"""A connection that was not used for so long is not used again: the server ends it after 60."""
PIECE = 256 * 1024
HEADERS = {"Content-Type": "application/json"}


class Wire:
    """Calls to one address, from any number of threads. Connections are kept between calls."""

    def __init__(
        self,
        address: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        expects: Callable[[Peer | None], bool],
        connect_s: float = CONNECT_S,
    ) -> None:
        """expects: whether the other end is who should be there, by its certificate."""
        self.what = f"{address}:{port}"
        self._address, self._port, self._connect_s = address, port, connect_s
        self._context, self._expects = context, expects
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._closed = False

    def call(
        self, name: str, message: bytes, timeout_s: float, *, again: bool = True
    ) -> tuple[bytes, HTTPMessage]:
        """The answer to one message; raises what the other side raised, or Unanswered.

        again: the call may be made twice. A kept connection can end at any moment, and who sent
        something on it can't know whether it was read.
        """
        until = time.monotonic() + timeout_s
        kept = self._kept()
        if kept is not None:
            try:
                return self._exchange(kept, name, message, until)
            except (OSError, http.client.HTTPException) as error:
                kept.close()
                if not again or isinstance(error, TimeoutError):
                    raise self._unanswered(error) from None
                self.drop()  # a server that was started again has ended all of them
        try:
            return self._exchange(self._connect(), name, message, until)
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(error) from None

    def upgrade(
        self, name: str, message: bytes, timeout_s: float
    ) -> tuple[socket.socket | None, bytes]:
        """A connection that is the caller's from now on, and what was read of it already; or
        None and the answer that came instead. Raises as `call`.
        """
        until = time.monotonic() + timeout_s
        try:
            connection = self._connect()
            try:
                connection.sock.settimeout(timeout_s)
                headers = HEADERS | {"Connection": "Upgrade", "Upgrade": UPGRADE}
                connection.request("POST", f"{PREFIX}{name}", message, headers)
                reply = connection.getresponse()
                if reply.status == 101:
                    return connection.release(reply)
                body = _read(reply, until)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(error) from None
        if reply.status != 200:
            raise revived(reply.status, body)
        return None, body

    def drop(self) -> None:
        """Close what is kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close what is kept, and what is in use as soon as it is not."""
        self._closed = True
        self.drop()

    def _kept(self) -> _Connection | None:
        context = self._context()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            # Made with an older certificate, or ended by the other side meanwhile: no use.
            fresh = time.monotonic() - connection.used < IDLE_S
            if fresh and connection.context is context and not connection.ended():
                return connection
            connection.close()

    def _connect(self) -> _Connection:
        connection = _Connection(self._address, self._port, self._context(), self._connect_s)
        try:
            connection.connect()
            peer = bearer(connection.sock.getpeercert())
            if not self._expects(peer):
                who = f"{peer.role} {peer.name}" if peer else "nobody that Dolium's CA named"
                raise errors.Untrusted(why=f"At {self.what} is {who}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(
        self, connection: _Connection, name: str, message: bytes, until: float
    ) -> tuple[bytes, HTTPMessage]:
        try:
            connection.sock.settimeout(max(0.1, until - time.monotonic()))
            connection.request("POST", f"{PREFIX}{name}", message, HEADERS)
            reply = connection.getresponse()
            body = _read(reply, until)
        except BaseException:
            connection.close()
            raise
        if reply.will_close:
            connection.close()
        else:
            self._keep(connection)
        if reply.status != 200:
            raise revived(reply.status, body)
        return body, reply.headers

    def _keep(self, connection: _Connection) -> None:
        connection.used = time.monotonic()
        with self._lock:
            if len(self._idle) < MOST_IDLE and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _unanswered(self, error: Exception) -> errors.Error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return errors.Untrusted(why=f"{self.what}: {error.verify_message}")
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return errors.Untrusted(why=f"{self.what} does not accept our certificate: {error}")
        return errors.Unanswered(what=self.what, why=str(error) or type(error).__name__)


class _Connection(HTTPSConnection):
    """One connection that knows the context it was made with."""

    auto_open = 0
    """Never connect by itself: who is at the other end would not be looked at."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext, connect_s: float) -> None:
        super().__init__(address, port, timeout=connect_s, context=context)
        self.context = context
        self.used = 0.0

    def release(self, reply: HTTPResponse) -> tuple[socket.socket, bytes]:
        """After an answer without a body: the socket, and what came with the answer's head."""
        sock, self.sock = self.sock, None
        sock.setblocking(False)
        try:
            early = reply.fp.peek(1)
        except ssl.SSLWantReadError:
            early = b""
        reply.close()
        return sock, early

    def ended(self) -> bool:
        """Whether the other side has closed it: nothing else is to be read between calls.

        Tickets of TLS 1.3 are read with the first answer. `poll`, as `select` can't look at more
        than 1,024 files.
        """
        look = select.poll()
        look.register(self.sock, select.POLLIN)
        return bool(look.poll(0))


def _read(reply: HTTPResponse, until: float) -> bytes:
    """The whole body, within the time and of a size that a message may have."""
    pieces, size = [], 0
    while piece := reply.read1(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_ANSWERED:
            raise http.client.HTTPException(f"the answer is larger than {MOST_ANSWERED} bytes")
        if time.monotonic() > until:
            raise TimeoutError("the answer did not end in time")
    reply.read()  # nothing is left; only this lets the connection be used again
    return b"".join(pieces)
