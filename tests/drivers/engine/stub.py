"""A server on a unix socket that says what a test tells it to: an engine with bad manners."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

VERSION = b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One connection; the test's function gets it for each request."""

    protocol_version = "HTTP/1.1"
    server: Stub

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        if self.path == "/version":
            self.say(200, self.server.version)
            return
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.answer(self)

    do_POST = do_DELETE = do_GET

    def say(self, status: int, body: bytes = b"") -> None:
        """An ordinary answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        """The head of an answer that comes in chunks."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """The next piece; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return ""


class Stub(socketserver.ThreadingUnixStreamServer):
    """The server; `answer` may be changed at any time."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # more at once than this are turned away, as a real engine does not

    def __init__(self, path: Path, answer: Answer) -> None:
        super().__init__(str(path), Handler)
        self.path = str(path)
        self.answer = answer
        self.version = VERSION
        self.asked: list[str] = []
        """Method and path of each request, without /version."""


@contextmanager
def stub(folder: Path, answer: Answer) -> Iterator[Stub]:
    """A server that runs."""
    path = folder / "s"
    path.unlink(missing_ok=True)
    with Stub(path, answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
