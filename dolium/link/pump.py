"""Carries the bytes of consoles between pairs of sockets, all of them in one thread.

A thread each would cost a hundred times the memory of an idle pair, and asyncio's TLS holds a
buffer of 256 KiB for each connection; here nothing is held for a pair that is silent.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable

LOG = logging.getLogger(__name__)

BUFFER = 65536
"""More than a TLS record, so that nothing is left inside the ssl module after a read."""
LINGER_S = 5.0
"""How long the other end may take to hang up after it was told that this one has ended."""
STALL_S = 300.0
"""How long a process may read nothing of what was typed when all buffers are full. Until then
nobody could find out that who typed it has left.
"""
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""A machine that went without a word is found out after a minute; a keystroke goes at once."""

NEVER = float("inf")
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def keep_alive(sock: socket.socket) -> None:
    """Find out when the machine at the other end is gone."""
    for level, option, value in KEEPALIVE:
        sock.setsockopt(level, option, value)


class Pump:
    """Any number of pairs. The thread begins with the first and ends with `stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._new: deque[_Pair] = deque()
        self._pairs: set[_Pair] = set()
        self._ending: set[_Pair] = set()
        """Those that are over at some time if nothing happens."""
        self._stopping = False
        self._selector: selectors.BaseSelector
        self._wake: socket.socket
        self._woken: socket.socket

    def join(
        self,
        near: socket.socket,
        far: socket.socket,
        *,
        early: bytes = b"",
        through: Callable[[bytes], bytes] = bytes,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Carry bytes both ways until one end closes; then both are closed.

        Args:
            near: where the console is.
            far: where whoever uses it is.
            early: what was read of `near` already.
            through: what becomes of what is read of `near`.
            ended: called once, by the pump's thread, which must not wait.
        """
        pair = _Pair(near, far, early, through, ended)
        with self._lock:
            if not self._stopping:
                self._begin()
                self._new.append(pair)
                self._wake.send(b"\0")
                return
        pair.close()

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs) + len(self._new)

    def stop(self) -> None:
        """Close all of them."""
        with self._lock:
            stopped, self._stopping = self._stopping, True
            if stopped or self._thread is None:
                return
            self._wake.send(b"\0")
        self._thread.join()

    def _begin(self) -> None:
        if self._thread is None:
            self._selector = selectors.DefaultSelector()
            self._wake, self._woken = socket.socketpair()
            self._woken.setblocking(False)
            self._selector.register(self._woken, _READ, None)
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            for key, events in self._selector.select(self._patience()):
                if key.data is None:
                    self._woken.recv(BUFFER)
                else:
                    self._turn(key.data, key.fileobj, events)
            while self._new:
                pair = self._new.popleft()
                self._pairs.add(pair)
                self._turn(pair, pair.far.source, 0)
            now = time.monotonic()
            for pair in [each for each in self._ending if each.until() <= now]:
                self._end(pair)
        for pair in [*self._pairs, *self._new]:
            self._end(pair)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _patience(self) -> float | None:
        if not self._ending:
            return None
        return max(0.0, min(pair.until() for pair in self._ending) - time.monotonic())

    def _turn(self, pair: _Pair, sock: object, events: int) -> None:
        if pair not in self._pairs:
            return  # ended by what its other socket had to say in the same round
        try:
            pair.turn(sock, events)
            if not pair.over:
                for each, wanted in pair.wants():
                    self._watch(pair, each, wanted)
                ends = pair.until() < NEVER
                (self._ending.add if ends else self._ending.discard)(pair)
                return
        except (OSError, ValueError) as error:
            LOG.info("a console broke off: %s", error)
        except Exception:
            LOG.exception("a console broke off: a bug")
        self._end(pair)

    def _watch(self, pair: _Pair, sock: socket.socket, wanted: int) -> None:
        known = self._selector.get_map().get(sock)
        if known is None:
            if wanted:
                self._selector.register(sock, wanted, pair)
        elif not wanted:
            self._selector.unregister(sock)
        elif known.events != wanted:
            self._selector.modify(sock, wanted, pair)

    def _end(self, pair: _Pair) -> None:
        self._pairs.discard(pair)
        self._ending.discard(pair)
        for sock in (pair.near.source, pair.far.source):
            if sock.fileno() >= 0 and sock in self._selector.get_map():
                self._selector.unregister(sock)
        pair.close()


class _Way:
    """One direction."""

    __slots__ = ("over", "pending", "sink", "source", "stuck", "through", "void")

    def __init__(
        self, source: socket.socket, sink: socket.socket, through: Callable[[bytes], bytes]
    ) -> None:
        self.source, self.sink, self.through = source, sink, through
        self.pending = b""
        self.over = False
        """Nothing more comes."""
        self.void = False
        """Nobody takes it any more; it is read all the same, to see it end."""
        self.stuck = NEVER
        """Since when nothing of what is pending was taken."""

    def read(self) -> None:
        try:
            data = self.source.recv(BUFFER)
        except _LATER:
            return
        except OSError:
            data = b""
        if not data:
            self.over = True
        elif not self.void:
            self.pending = self.through(data)
            self.write()

    def write(self) -> None:
        try:
            if self.pending:
                self.pending = self.pending[self.sink.send(self.pending) :]
                self.stuck = time.monotonic() if self.pending else NEVER
        except _LATER:
            self.stuck = min(self.stuck, time.monotonic())
        except OSError:
            self.give_up()

    def give_up(self) -> None:
        self.pending, self.void, self.stuck = b"", True, NEVER


class _Pair:
    """Two sockets and the two ways between them."""

    def __init__(
        self,
        near: socket.socket,
        far: socket.socket,
        early: bytes,
        through: Callable[[bytes], bytes],
        ended: Callable[[], None],
    ) -> None:
        self.near, self.far = _Way(near, far, through), _Way(far, near, bytes)
        self.near.pending = through(early) if early else b""
        self.over = False
        self._until = NEVER
        self._ended = ended
        for sock in (near, far):
            sock.setblocking(False)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                keep_alive(sock)

    def turn(self, sock: object, events: int) -> None:
        """One socket can be read or written."""
        out, back = (self.near, self.far) if sock is self.near.source else (self.far, self.near)
        if events & _WRITE:
            back.write()
        if events & _READ and not out.over and not out.pending:
            out.read()
        for way, other in ((self.near, self.far), (self.far, self.near)):
            if way.over and not way.pending:
                self._last(way, other)

    def _last(self, way: _Way, other: _Way) -> None:
        """One end has hung up and all it said is passed on. `far` is closed only when it hangs up
        too: closing earlier would take back what it has not read yet.
        """
        if other.over or way is self.far:
            self.over = True
        elif self._until == NEVER:
            other.give_up()
            self._until = time.monotonic() + LINGER_S
            way.sink.shutdown(socket.SHUT_WR)

    def until(self) -> float:
        """When it is over if nothing happens."""
        return min(self._until, self.far.stuck + STALL_S)

    def wants(self) -> list[tuple[socket.socket, int]]:
        """What to wait for, on which socket."""
        return [
            (out.source, _READ * (not out.over and not out.pending) | _WRITE * bool(back.pending))
            for out, back in ((self.near, self.far), (self.far, self.near))
        ]

    def close(self) -> None:
        """Once."""
        self.near.source.close()
        self.far.source.close()
        try:
            self._ended()
        except Exception:
            LOG.exception("a console's end was not taken note of: a bug")
