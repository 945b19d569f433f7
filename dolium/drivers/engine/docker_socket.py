"""HTTP over an engine's unix socket: kept-open connections, streams, typed answers.

Seven times cheaper than the Docker SDK for Python (measured), which is why it exists.
"""

from __future__ import annotations

import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.drivers.engine.docker_errors import WHAT, fail
from dolium.model import reading

T = TypeVar("T")

VERSION = (1, 41)
"""The version of the API that this code was written and tested against (Docker 20.10)."""
BUFFER = 65536
KEPT = 8
"""Idle connections kept open."""


class Message(Struct):
    """The body of an error."""

    message: str = ""


class Versions(Struct, rename="pascal"):
    """The versions of the API that an engine speaks."""

    api_version: str = "1.41"
    min_a_p_i_version: str = "1.12"


class Connection(HTTPConnection):
    """One connection to the socket."""

    sock: socket.socket | None

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Called by HTTPConnection before the first request."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        self.sock = sock

    def ready(self, seconds: float) -> bool:
        """True when there is something to read, or the other side hung up."""
        assert self.sock is not None
        return _readable(self.sock, seconds)

    def limit(self, seconds: float | None) -> None:
        """How long one read or write may take from now on."""
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)


class Stream:
    """An answer that comes bit by bit. Close it, or use `with`.

    http.client reads its head only: its way of reading a body can't wait with a limit.
    """

    def __init__(self, connection: Connection, what: str) -> None:
        self._connection = connection
        self._what = what
        self._response: HTTPResponse | None = None
        assert connection.sock is not None
        self._socket = connection.sock
        self._body = Body(None, chunked=False)
        self._pending = bytearray()
        self._closed = False

    def ready(self, seconds: float) -> bool:
        """Wait until the next read won't; False when the time is over."""
        deadline = time.monotonic() + seconds
        if self._response is None and not _readable(self._socket, seconds):
            return False
        if self._head().status >= 400:
            return True
        while not self._pending and not self._body.over:
            if not _readable(self._socket, max(deadline - time.monotonic(), 0)):
                return False
            self._fill()
        return True

    def refusal(self) -> tuple[int, str] | None:
        """Read the head of the answer; status and words when it is an error."""
        response = self._head()
        if response.status < 400:
            return None
        with _lost(self._what):
            return response.status, _message(response.read())

    def header(self, name: str) -> str:
        """One of the answer's headers; empty when it has none of the name."""
        self._begin()
        return self._head().getheader(name) or ""

    def read(self) -> bytes:
        """What is there, waiting for something; empty at the end."""
        self._begin()
        while not self._pending and not self._body.over:
            self._fill()
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def line(self) -> bytes:
        """The next line; empty at the end."""
        self._begin()
        while (end := self._pending.find(b"\n") + 1) == 0:
            if self._body.over:
                end = len(self._pending)
                break
            self._fill()
        line = bytes(self._pending[:end])
        del self._pending[:end]
        return line

    def release(self) -> tuple[socket.socket, bytes]:
        """Of an answer that is a connection both ways: a socket of the caller's, and what was
        read of it already. The stream is over.
        """
        try:
            self._begin()
            return self._socket.dup(), bytes(self._pending)  # its own is the response's to close
        finally:
            if self._response is not None:
                self._response.close()
            self._connection.close()

    def unread(self) -> socket.socket:
        """A socket of the caller's, for all of the answer. The stream is over."""
        try:
            return self._socket.dup()
        finally:
            self._connection.close()

    def close(self) -> None:
        """Hang up; a read that another thread waits in ends."""
        self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster

    def _head(self) -> HTTPResponse:
        if self._response is None:
            with _lost(self._what):
                self._response = response = self._connection.getresponse()
                self._body = Body(response.length, chunked=bool(response.chunked))
                # The first bytes of the body may be in the reader's buffer, where poll can't
                # see them; later ones never are, because each fill empties it.
                self._socket.setblocking(False)
                try:
                    if response.status < 400 and response.fp.peek(1):
                        self._pending += self._body.feed(response.fp.read1(BUFFER))
                finally:
                    self._socket.settimeout(self._connection.timeout)
        return self._response

    def _begin(self) -> None:
        if refusal := self.refusal():
            fail(*refusal, self._what)

    def _fill(self) -> None:
        """One read from the connection."""
        with _lost(self._what):
            data = self._head().fp.read1(BUFFER)
            if not data and self._closed:
                self._body.over = True
            else:
                self._pending += self._body.feed(data)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._response is not None:
            self._response.close()
        self._connection.close()


class Body:
    """Takes the pieces of an HTTP body as they come off the wire, gives what they carry."""

    def __init__(self, length: int | None, *, chunked: bool) -> None:
        """length: None when only the end of the connection ends it."""
        self.over = length == 0 and not chunked
        self._left = 0 if chunked else length
        self._chunked = chunked
        self._wire = bytearray()

    def feed(self, data: bytes) -> bytes:
        """What the piece carries; an empty piece is the end of the connection."""
        if not data:
            if self._chunked or self._left:
                raise ConnectionResetError("the answer is incomplete")
            self.over = True
        if self._left is None:
            return data
        self._wire += data
        carried = bytearray()
        while not self.over:
            taken = self._wire[: self._left]
            del self._wire[: self._left]
            carried += taken
            self._left -= len(taken)
            if self._left or not self._next():
                break
        return bytes(carried)

    def _next(self) -> bool:
        """Go on to the next chunk, if its size has come."""
        if not self._chunked:
            self.over = True
            return False
        head = bytes(self._wire).lstrip(b"\r\n")
        size, end, _ = head.partition(b"\r\n")
        if not end:
            return False
        self._left = int(size.split(b";")[0], 16)
        del self._wire[: len(self._wire) - len(head) + len(size) + 2]
        self.over = self._left == 0
        return True


class Client:
    """The door to one engine, for any number of threads."""

    def __init__(self, path: str, *, timeout_s: float = 60.0, what: str = WHAT) -> None:
        self.path = path
        self.what = what
        self._timeout = timeout_s
        self._idle: deque[Connection] = deque()
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._prefix: str | None = None
        self._lock = threading.Lock()

    def ask(
        self,
        method: str,
        path: str,
        into: type[T],
        *,
        query: dict[str, Any] | None = None,
        body: object = None,
        timeout_s: float | None = None,
    ) -> T:
        """One question, its answer decoded."""
        answer = self.raw(method, path, query=query, body=body, timeout_s=timeout_s)
        try:
            return reading.read(answer, into)
        except msgspec.DecodeError as error:
            raise errors.Unanswered(what=self.what, why=f"unreadable answer: {error}") from error

    def raw(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: object = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """One question, the bytes of its answer. Status 304 (nothing to do) is success."""
        target = self._versioned(path) + (f"?{urlencode(query)}" if query else "")
        status, answer = self._exchange(method, target, body, timeout_s or self._timeout)
        if status >= 300 and status != 304:
            fail(status, _message(answer), self.what)
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Stream:
        """A question whose answer comes bit by bit, on a connection of its own. An iterator of
        bytes as body is sent as it comes; what it raises is raised here.

        timeout_s: longest silence; None: for ever.
        """
        target = self._versioned(path) + (f"?{urlencode(query)}" if query else "")
        connection = Connection(self.path, self._timeout)
        try:
            with _lost(self.what):
                _request(connection, method, target, body, headers)
        except BaseException:
            connection.close()
            raise
        connection.limit(timeout_s)
        stream = Stream(connection, self.what)
        self._streams.add(stream)
        return stream

    def close(self) -> None:
        """End all streams and idle connections."""
        for stream in list(self._streams):
            stream.close()
        while self._idle:
            self._idle.pop().close()

    def _versioned(self, path: str) -> str:
        if self._prefix is None:
            with self._lock:
                self._prefix = self._prefix or f"/v{self._negotiate()}"
        return self._prefix + path

    def _negotiate(self) -> str:
        """The version to speak: ours, or the nearest that the engine offers."""
        status, answer = self._exchange("GET", "/version", None, 10.0)
        if status != 200:
            fail(status, _message(answer), self.what)
        offered = reading.read(answer, Versions)
        low, high = _version(offered.min_a_p_i_version), _version(offered.api_version)
        return "{}.{}".format(*max(low, min(high, VERSION)))

    def _exchange(
        self, method: str, target: str, body: object, timeout_s: float
    ) -> tuple[int, bytes]:
        for attempt in (1, 2):
            connection = self._take(timeout_s)
            kept = connection.sock is not None
            answered = False
            try:
                with _lost(self.what):
                    _request(connection, method, target, body)
                    response = connection.getresponse()
                    answered = True
                    answer = response.read()
            except errors.Unanswered as error:
                connection.close()
                timed_out = isinstance(error.__cause__, TimeoutError)
                if attempt == 1 and kept and method == "GET" and not answered and not timed_out:
                    continue
                self._prefix = None  # what comes back may be another version
                raise
            self._give(connection)
            return response.status, answer
        raise AssertionError("unreachable")

    def _take(self, timeout_s: float) -> Connection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            # Something to read on an idle connection is its end: the engine went meanwhile.
            if connection.sock is not None and not connection.ready(0):
                connection.limit(timeout_s)
                return connection
            connection.close()
        return Connection(self.path, timeout_s)

    def _give(self, connection: Connection) -> None:
        if connection.sock is None or len(self._idle) >= KEPT:
            connection.close()
        else:
            self._idle.append(connection)


class Demux:
    """Takes apart the 8-byte framed stream of an engine: who said what."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete: (1 stdout or 2 stderr, bytes)."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[4:8])
            if len(self._buffer) < 8 + size:
                break
            frames.append((self._buffer[0], bytes(self._buffer[8 : 8 + size])))
            del self._buffer[: 8 + size]
        return frames


def _readable(sock: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # select() has no room for descriptors above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _request(
    connection: Connection,
    method: str,
    target: str,
    body: object,
    more: Mapping[str, str] | None = None,
) -> None:
    """Bytes, at once or one by one, are a tar; all else is sent as JSON."""
    headers = dict(more or {})
    data: bytes | Iterator[bytes] | None = None
    if isinstance(body, bytes | Iterator):
        headers["Content-Type"], data = "application/x-tar", body
    elif body is not None:
        headers["Content-Type"], data = "application/json", msgspec.json.encode(body)
    connection.request(method, target, body=data, headers=headers)


def _message(body: bytes) -> str:
    try:
        return reading.read(body, Message).message
    except msgspec.DecodeError:
        return body.decode(errors="replace")


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


class _lost:
    """Turn everything that ends a connection into Unanswered."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError | HTTPException):
            raise errors.Unanswered(what=self._what, why=_why(error)) from error


def _why(error: OSError | HTTPException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, FileNotFoundError):
        return "its socket is not there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection was lost"
