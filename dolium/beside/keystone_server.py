"""What runs in the Keystone process: `python -m dolium.beside.keystone_server --config FOLDER`.

Tables, content and serving in one process, because importing Keystone is most of what a start
costs. It listens first: who asks early waits for the answer instead of being refused.

Keystone owns this process: it parses `sys.argv` and fills the global oslo.config object, which may
be done once only. Nothing of Dolium may be imported here but this package and what stands alone.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolium import priority

if TYPE_CHECKING:
    from cheroot import wsgi

THREADS = 8
"""Requests served at once. One interpreter lock: more would only wait for one another."""

BACKLOG = 512
"""Connections that may wait while Keystone starts."""

DEFERRED = "keystone.federation.idp"
"""The one module of Keystone that imports pysaml2: 0.6 s of a start and 20 MB, needed only where
Keystone is a SAML identity provider. It is loaded when it is first used."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dolium.beside.keystone_server")
    parser.add_argument("--config", type=Path, required=True, help="the folder of this Keystone")
    folder: Path = parser.parse_args(argv).config
    os.umask(0o077)  # SQLite makes its files with what this leaves
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"another Keystone works in {folder}\n")
        return 1
    wish = json.loads((folder / "wish.json").read_text())
    listening = _listen(wish["address"], wish["port"])
    # On two cores the engine and Dolium itself start at the same time, and neither takes as long.
    priority.first(priority.STARTING)
    gc.disable()  # a fifth of the start goes into looking for garbage that isn't there
    application = _application(folder)
    from dolium.beside import keystone_content, keystone_turns

    keystone_content.fill(folder, wish)
    keystone_turns.warm(application, wish)
    gc.freeze()  # what a start has made stays for ever: never look at it again
    gc.enable()
    priority.first()
    _serve(application, listening)
    return 0


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.bind((address, port))
    listening.listen(BACKLOG)
    return listening


def _application(folder: Path) -> Any:
    """Keystone's WSGI application on the configuration of `folder`, its tables up to date."""
    from dolium.beside import cache, keystone_schema, keystone_turns, later

    # A folder of our own instead of /etc/keystone/keystone.conf.d, which belongs to another one.
    sys.argv = ["keystone", "--config-dir", str(folder / "keystone.conf.d")]
    (folder / "keystone.conf.d").mkdir(exist_ok=True)
    cache.register()
    later.defer(DEFERRED)
    keystone_turns.install()
    from keystone.server.flask import core

    return core.initialize_application(
        name="public",
        config_files=[str(folder / "keystone.conf")],
        post_log_configured_function=lambda: keystone_schema.migrate(folder),
    )


def _serve(application: Any, listening: socket.socket) -> None:
    from cheroot import wsgi

    class Server(wsgi.Server):
        """Serves on the socket that listens since the beginning."""

        def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
            """Take the listening socket instead of making one."""
            self.socket = listening
            return listening

    server = Server(
        listening.getsockname(), application, numthreads=THREADS, request_queue_size=BACKLOG
    )
    signal.signal(signal.SIGTERM, lambda *_: _end(server))
    server.start()


def _end(server: wsgi.Server) -> None:
    # Not in the signal handler itself: stopping waits for requests, which run in this process.
    threading.Thread(target=server.stop, name="stop").start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
