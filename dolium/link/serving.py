"""An HTTP server inside the process: Cheroot in native threads, with or without TLS."""

from __future__ import annotations

import errno
import logging
import resource
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from msgspec import Struct

from dolium import errors
from dolium.link.pump import keep_alive
from dolium.model.metric import Meter

if TYPE_CHECKING:
    import ssl

LOG = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

SPARE_FILES = 512
"""Files that are open besides a server's connections."""

STACK = 2**20
"""Bytes of a thread's stack where many are made; the usual 8 MiB are no memory, but count where
the kernel promises none twice.
"""

SWITCH_S = 0.0005
"""How long a thread that computes keeps the interpreter from one that has an answer to go on with.
An answer gives it away several times, and with Python's usual 5 ms waited longer than it took.
"""

STOP_S = 5
"""How long requests under way may take when the server stops."""


CLIENT = "dolium.client"
"""Where the WSGI environment has the Client."""


class Client:
    """The connection that an answer goes to, for answers that wait in the midst of it."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def begin(self, patience_s: float) -> None:
        """Send the answer's head now. From here on the client may take nothing for so long."""
        self._request.ensure_headers_sent()
        sock = self._request.conn.socket
        sock.settimeout(patience_s)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            keep_alive(sock)

    def fileno(self) -> int:
        """For `poll`, by which a client that leaves is noticed at once."""
        number: int = self._request.conn.socket.fileno()
        return number

    def left(self) -> bool:
        """Whether it has hung up."""
        look = select.poll()
        look.register(self.fileno(), select.POLLRDHUP)
        return bool(look.poll(0))


class _Gateway(wsgi.Gateway_10):
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[CLIENT] = Client(self.req)
        return environ


class Size(Struct, frozen=True, kw_only=True):
    """How much a server takes on."""

    threads: int
    """Requests answered at the same time."""
    connections: int
    """Connections kept open between requests."""
    idle_s: int = 10
    """How long such a connection is kept, and a client may be silent in the middle of a request."""
    backlog: int = 128
    header: int = 64 * 1024
    """Bytes of all headers together."""
    body: int
    """Bytes of a request's body."""


class Serving:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        app: Wsgi,
        listen: str,
        port: int,
        size: Size,
        *,
        name: str,
        group: str,
        context: Callable[[], ssl.SSLContext] | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Port 0 takes a free one; `port` tells which after the start.

        group: of the configuration, where the address can be changed. context: TLS, by whatever
        context it returns when a connection comes in.
        """
        self.port = port
        self._listen, self._group = listen, group
        self._size = size
        self._threads = size.threads
        self._growing = threading.Lock()
        self._server = wsgi.Server(
            (listen, port),
            app,
            numthreads=size.threads,
            server_name="dolium",
            request_queue_size=size.backlog,
            shutdown_timeout=STOP_S,
            timeout=size.idle_s,
        )
        self._server.gateway = _Gateway
        self._server.max_request_header_size = size.header
        self._server.max_request_body_size = size.body + size.header
        self._server.keep_alive_conn_limit = size.connections
        self._server.error_log = _log  # type: ignore[method-assign]
        if context is not None:
            from dolium.link import handshake  # loopback without TLS needs none of it

            self._server.ssl_adapter = handshake.Adapter(context, name, meter or Meter())
            self._server.ConnectionClass = handshake.Connection
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Take the port and begin to answer; raises StartError when the port is taken."""
        allow_files(self._size.connections)
        sys.setswitchinterval(SWITCH_S)
        # Cheroot hides the error's number in a text and leaves its socket open: try before.
        bound(self._listen, self.port, self._group).close()
        try:
            self._server.prepare()
        except OSError as error:
            raise _unbound(error, self._listen, self.port, self._group) from None
        self.port = self._server.bind_addr[1]
        self._thread.start()

    def spare(self, held: int) -> None:
        """So many threads are held by requests that wait: have the usual number besides.

        Grows to twice as many at least, so that a herd is met in few steps; never shrinks.
        """
        with self._growing:
            missing = held + self._size.threads - self._threads
            if missing > 0:
                more = max(missing, self._threads)
                usual = threading.stack_size(STACK)
                try:
                    self._server.requests.grow(more)
                finally:
                    threading.stack_size(usual)
                self._threads += more

    def stop(self) -> None:
        """Let requests under way end, answer no more."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _serve(self) -> None:
        try:
            self._server.serve()
        except Exception:
            LOG.exception("the server %s ended", self._thread.name)


def _log(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    """What Cheroot would write to stderr."""
    LOG.log(level, "%s", msg, exc_info=traceback)


def allow_files(files: int) -> None:
    """Let this process have as many open: most systems give 1,024 to who doesn't ask."""
    wanted = files + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        LOG.warning("only %d files may be open, %d are wanted: raise LimitNOFILE", most, wanted)


def bound(listen: str, port: int, group: str) -> socket.socket:
    """A socket that listens; raises StartError, naming the group of the configuration."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    try:
        return socket.create_server((listen, port), family=family, backlog=128)
    except OSError as error:
        raise _unbound(error, listen, port, group) from None


def _unbound(error: OSError, listen: str, port: int, group: str) -> errors.StartError:
    where = f"port {port} of {listen}"
    known = {
        errno.EADDRINUSE: f"Somebody else listens on {where}; stop them or set {group} port",
        errno.EACCES: f"Only root may listen on {where}; set {group} port to one above 1023",
        errno.EADDRNOTAVAIL: f"This machine has no address {listen}; set {group} listen",
    }
    why = known.get(error.errno or 0, f"Can't listen on {where}: {error}")
    return errors.StartError(why=why)
