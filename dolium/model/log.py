"""A container's log while somebody follows it: how it travels, and how to come back to a place.

On its way each line begins with the engine's stamp and a space, whatever the reader gets to see:
whoever loses the connection comes back with the stamp read last. A host sends it in pieces; an
empty one says that it has ended, so that a connection that broke off can't be taken for that.
"""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

_SIZE = 4
"""Bytes of a piece's size, which comes first."""
_STAMP = re.compile(
    rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    rb"(?P<zone>Z|[+-]\d\d:\d\d)"
)

END = bytes(_SIZE)
"""The empty piece."""
MOST = 2**24
"""Bytes of a piece; more than any engine says at once."""
LONGEST_STAMP = 64


def piece(text: bytes) -> bytes:
    """Text of a log, as a host sends it."""
    return len(text).to_bytes(_SIZE) + text if text else b""


class Pieces:
    """Takes bytes as they come, gives the text that they carry."""

    def __init__(self) -> None:
        self._wire = bytearray()
        self.ended = False
        """The log has, and nothing more comes."""

    def feed(self, data: bytes) -> bytes:
        """Text of the pieces that are complete. Raises ValueError for what no host sends."""
        self._wire += data
        carried = bytearray()
        while not self.ended and len(self._wire) >= _SIZE:
            end = _SIZE + int.from_bytes(self._wire[:_SIZE])
            if end > MOST:
                raise ValueError(f"a piece of {end} bytes")
            if len(self._wire) < end:
                break
            carried += self._wire[_SIZE:end]
            self.ended = end == _SIZE
            del self._wire[:end]
        return bytes(carried)


class Place(Struct, frozen=True):
    """How far somebody has read. Lines are told apart by stamps, equal ones are counted."""

    stamp: bytes = b""
    """Of the line read last; empty: none."""
    lines: int = 0
    """Whole lines of that stamp."""
    within: int = 0
    """Bytes of one more, which has not ended."""

    @property
    def since(self) -> str:
        """The stamp as seconds since the epoch, with all its digits; empty: none, or unreadable."""
        found = _STAMP.fullmatch(self.stamp)
        if found is None:
            return ""
        zone = found["zone"].decode().replace("Z", "+00:00")
        second = datetime.fromisoformat(found["second"].decode() + zone)
        fraction = (found["fraction"] or b"").decode()
        return f"{int(second.timestamp())}.{fraction:0<9}"


class Lines:
    """Takes stamped text in any pieces, gives what its reader has not had yet."""

    def __init__(self, *, stamps: bool, after: Place | None = None) -> None:
        """stamps: the reader wants them. after: what was read before, and comes once more."""
        self._stamps = stamps
        self._after = after or Place()
        self._back = bool(self._after.stamp)
        """Still among what was read before."""
        self._held = b""
        """A stamp whose text has not begun."""
        self._begun = False
        self._stamp, self._lines, self._within = b"", 0, 0

    @property
    def place(self) -> Place:
        """How far its reader has read."""
        return self._after if self._back else Place(self._stamp, self._lines, self._within)

    def feed(self, text: bytes) -> bytes:
        """The part of it that is for the reader."""
        *whole, rest = (self._held + text).split(b"\n")
        self._held = b""
        shown = [self._read(line + b"\n") for line in whole]
        if rest:
            shown.append(self._read(rest))
        return b"".join(shown)

    def _read(self, data: bytes) -> bytes:
        """A line, or the next bytes of one."""
        head = b""
        if not self._begun:
            stamp, space, text = data.partition(b" ")
            if not text and not data.endswith(b"\n") and len(data) < LONGEST_STAMP:
                self._held = data
                return b""
            if not space:  # no stamp, which no engine does
                stamp, text = self._stamp, data
            if stamp != self._stamp:
                self._stamp, self._lines = stamp, 0
            self._begun = True
            head, data = (stamp + space if self._stamps else b""), text
        known = self._known(len(data)) if self._back else 0
        if data.endswith(b"\n"):
            self._lines, self._within, self._begun = self._lines + 1, 0, False
        else:
            self._within += len(data)
        return (b"" if known else head) + data[known:]

    def _known(self, size: int) -> int:
        """How many of the next bytes were read before."""
        after, left = self._after, 0
        if self._stamp == after.stamp:
            if self._lines < after.lines:
                return size
            if self._lines == after.lines:
                left = after.within - self._within
        self._back = left > size
        return min(left, size)
