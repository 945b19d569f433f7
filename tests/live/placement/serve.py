"""Placement on a port of loopback, run by the Python of .venv-placement: serve.py PORT."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def main() -> None:
    port = int(sys.argv[1])
    sys.argv = ["placement"]  # which it would read itself
    from placement.wsgi.api import application  # type: ignore[import-not-found]

    with make_server("127.0.0.1", port, application, Threads, Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
