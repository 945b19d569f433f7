"""Long answers: the bytes of an image, over a connection that was switched to carry nothing else.

Pieces come in frames, so that an end is told from a connection that broke: one byte of kind, four
of length, and the content.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import msgspec

from dolium import errors
from dolium.link.pump import keep_alive
from dolium.link.wire import Refusal, refusal
from dolium.model import reading

LOG = logging.getLogger(__name__)

PIECE, END, ERROR = b"P", b"E", b"X"
HEAD = struct.Struct("!cI")
MOST = 4 * 2**20
"""Bytes of one frame."""
SILENT_S = 660.0
"""How long nothing may come: an engine packs a large layer, or Glance stores it, meanwhile."""
LINGER_S = 30.0

Pieces = Iterator[bytes]


class Incoming:
    """What somebody sends, as an iterator: raises what the sender's source raised, or Unanswered.
    Closed at its end, by `close`, or as a context.
    """

    def __init__(self, sock: socket.socket, early: bytes = b"", what: str = "The link") -> None:
        """early: what was read of the socket already."""
        sock.settimeout(SILENT_S)
        self._socket, self._left, self._what = sock, bytearray(early), what

    def __iter__(self) -> Incoming:
        return self

    def __next__(self) -> bytes:
        try:
            kind, size = HEAD.unpack(self._take(HEAD.size))
            if size > MOST:
                raise ConnectionError("it speaks another protocol")
            content = self._take(size)
        except OSError as error:
            self.close()
            raise errors.Unanswered(what=self._what, why=str(error)) from None
        if kind == PIECE:
            return content
        self.close()
        if kind == END:
            raise StopIteration
        raise _revived(content)

    def _take(self, size: int) -> bytes:
        while len(self._left) < size:
            data = self._socket.recv(256 * 1024)
            if not data:
                raise ConnectionError("it broke off")
            self._left += data
        taken = bytes(self._left[:size])
        del self._left[:size]
        return taken

    def close(self) -> None:
        """Have no more of it."""
        self._socket.close()

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def send(sock: socket.socket, pieces: Pieces) -> None:
    """All of them, then hang up. Never raises: whoever reads is told."""
    with sock:
        sock.settimeout(SILENT_S)
        try:
            try:
                for piece in pieces:
                    for at in range(0, len(piece), MOST):
                        _frame(sock, PIECE, piece[at : at + MOST])
                _frame(sock, END, b"")
            except errors.Error as error:
                _frame(sock, ERROR, refusal(error))
            except OSError:
                raise
            except Exception:
                LOG.exception("a bug in the source of a stream")
                _frame(sock, ERROR, refusal(errors.Error()))
            # The reader hangs up: until then what was sent may be lost with the connection.
            sock.settimeout(LINGER_S)
            sock.recv(1)
        except OSError as error:
            LOG.info("a stream was not read to its end: %s", error)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()


class Outgoing:
    """A stream that is ready for whoever comes: a `link.base.Line`."""

    def __init__(self, pieces: Pieces, done: Callable[[], None] = lambda: None) -> None:
        """done: called once, when nothing is sent any more."""
        self._pieces, self._done = pieces, done

    def join(self, far: socket.socket) -> None:
        """Send it, in a thread of its own."""
        threading.Thread(target=self._run, args=(far,), name="stream", daemon=True).start()

    def _run(self, far: socket.socket) -> None:
        try:
            if far.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    keep_alive(far)
            send(far, self._pieces)
        finally:
            self._done()


def _frame(sock: socket.socket, kind: bytes, content: bytes) -> None:
    sock.sendall(HEAD.pack(kind, len(content)) + content)


def _revived(content: bytes) -> errors.Error:
    try:
        told = reading.read(content, Refusal)
    except msgspec.DecodeError:
        return errors.Unanswered(what="The link", why="an error that can't be read")
    return errors.revive(told.code, told.facts)
