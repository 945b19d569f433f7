"""A Unix socket that Docker posts to: HTTP/1.1, one thread per connection, drained at its end.

Docker repeats a call whose connection broke, but without its body (moby#35459), so an orderly
stop lets every call that has begun come to its end.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from dolium import errors

LOG = logging.getLogger(__name__)
MOST = 1 << 20
"""Longest body, in bytes; Docker's are below 10 KiB."""
_LINE = 1 << 16
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large"}

Answer = Callable[[str, bytes], tuple[int, bytes]]
"""(method, body) -> (status, body); `NetworkDriver.Join` is a method."""


class Server:
    """One plugin socket. Docker knows a plugin by its file's name, so one file per name."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self._answer = answer
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._idle: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def start(self) -> None:
        """Listen. Raises StartError when another process answers under this name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if _answers(self.path):
            why = f"Another process listens on {self.path}; plugin names are machine-wide"
            raise errors.StartError(why=why)
        draft = self.path.with_name(f".{self.path.stem}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(draft))
        draft.chmod(0o600)
        listener.listen(128)
        # From here on it answers; a socket that is there and refuses costs Docker 15 seconds.
        draft.replace(self.path)
        self._stopping = False
        self._listener = listener
        self._spawn(self._accept, listener)

    def stop(self, patience_s: float = 10.0) -> None:
        """Take no more calls, finish those that have begun, remove the socket."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with self._lock:
            self._stopping = True
            self.path.unlink(missing_ok=True)
            listener.shutdown(socket.SHUT_RDWR)
            for connection in self._idle:
                connection.shutdown(socket.SHUT_RD)
            threads = list(self._threads)
        deadline = time.monotonic() + patience_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        listener.close()

    def _spawn(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        def run() -> None:
            try:
                work(connection)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"plugin {self.path.stem}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if _trusted(connection):
                self._spawn(self._serve, connection)
            else:
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                while self._one(connection, reader):
                    pass
            except (OSError, ValueError) as error:
                LOG.warning("plugin %s: a connection broke: %s", self.path.stem, error)

    def _one(self, connection: socket.socket, reader: BinaryIO) -> bool:
        """Answer one call; False: there will be no other."""
        with self._lock:
            if self._stopping:
                return False
            self._idle.add(connection)
        try:
            line = reader.readline(_LINE)
        finally:
            with self._lock:
                self._idle.discard(connection)
        if not line:
            return False
        verb, path, _ = line.decode("ascii").split()
        length = _length(reader)
        if length > MOST:
            connection.sendall(_framed(413, b"{}"))
            return False
        body = reader.read(length)
        if len(body) < length:
            return False
        status, said = self._answer(path.lstrip("/"), body) if verb == "POST" else (404, b"{}")
        connection.sendall(_framed(status, said))
        return not self._stopping


def _length(reader: BinaryIO) -> int:
    """Read the headers; the only one that matters is the length of the body."""
    length = 0
    while (line := reader.readline(_LINE).strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length


def _framed(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "Content-Type: application/vnd.docker.plugins.v1.2+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _trusted(connection: socket.socket) -> bool:
    """Only root and ourselves: whoever calls may have any port."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, user, _ = struct.unpack("=3i", credentials)
    return user in (0, os.geteuid())


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
    return True
