"""An OpenStack service's WSGI application on a port of loopback; run by the Python of its own."""

from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def serve(port: int, application: Callable[..., Any]) -> None:
    """Until the process is killed."""
    with make_server("127.0.0.1", port, application, Threads, Quiet) as server:
        server.serve_forever()
