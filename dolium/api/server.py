"""The HTTP server inside the process: Cheroot in native threads."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from typing import TYPE_CHECKING

from cheroot import wsgi

from dolium import errors
from dolium.api.call import MOST_BODY

if TYPE_CHECKING:
    from dolium.api.app import Wsgi

LOG = logging.getLogger(__name__)

MOST_HEADERS = 64 * 1024
"""Bytes of all headers together: a token with a long catalog fits, nothing endless does."""

STOP_S = 5
"""How long requests under way may take when the server stops."""


class Server:
    """Listens from `start` to `stop`."""

    def __init__(
        self, app: Wsgi, listen: str = "127.0.0.1", port: int = 9517, threads: int = 16
    ) -> None:
        """Port 0 takes a free one; `port` tells which after the start."""
        self._listen = listen
        self._server = wsgi.Server(
            (listen, port),
            app,
            numthreads=threads,
            server_name="dolium",
            request_queue_size=128,
            shutdown_timeout=STOP_S,
        )
        self._server.max_request_header_size = MOST_HEADERS
        self._server.max_request_body_size = MOST_BODY + MOST_HEADERS
        self._server.keep_alive_conn_limit = 8 * threads
        self._server.error_log = _log  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)
        self.port = port

    def start(self) -> None:
        """Take the port and begin to answer; raises StartError when the port is taken."""
        try:
            _try(self._listen, self.port)
            self._server.prepare()
        except OSError as error:
            raise errors.StartError(why=_why(error, self._listen, self.port)) from None
        self.port = self._server.bind_addr[1]
        self._thread.start()

    def stop(self) -> None:
        """Let requests under way end, answer no more."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _serve(self) -> None:
        try:
            self._server.serve()
        except Exception:
            LOG.exception("the API server ended")


def _log(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    """What Cheroot would write to stderr."""
    LOG.log(level, "%s", msg, exc_info=traceback)


def _try(listen: str, port: int) -> None:
    # Cheroot hides the error's number in a text and leaves its socket open.
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.create_server((listen, port), family=family):
        pass


def _why(error: OSError, listen: str, port: int) -> str:
    where = f"port {port} of {listen}"
    known = {
        errno.EADDRINUSE: f"Somebody else listens on {where}; stop them or set [api] port",
        errno.EACCES: f"Only root may listen on {where}; set [api] port to one above 1023",
        errno.EADDRNOTAVAIL: f"This machine has no address {listen}; set [api] listen",
    }
    return known.get(error.errno or 0, f"Can't listen on {where}: {error}")
