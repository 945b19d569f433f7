"""Logs of every engine as they come: in pieces, stamped, to their end, and on from any line."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dolium import errors
from dolium.drivers.engine.base import Console
from dolium.drivers.engine.fake import Fake
from dolium.model import log
from dolium.model.container import Seen, State
from tests.drivers.engine.conftest import Bench

PATIENCE = 60.0
LONG = 40_000
"""Bytes of a line that no engine keeps in one part."""


class Reader:
    """Reads a log as the pump of an agent does."""

    def __init__(self, bench: Bench, seen: Seen, console: Console, after: log.Place | None) -> None:
        self._bench, self._seen, self._console = bench, seen, console
        self._pieces = log.Pieces()
        self.lines = log.Lines(stamps=False, after=after)
        self.text = self._take(console.through(console.early))
        console.socket.settimeout(0.2)

    @property
    def ended(self) -> bool:
        return self._pieces.ended

    def _take(self, data: bytes) -> bytes:
        return self.lines.feed(self._pieces.feed(data))

    def until(self, text: bytes = b"", *, end: bool = False) -> bytes:
        """Read until it is told, or the log has ended."""
        deadline = time.monotonic() + PATIENCE
        while not (self.ended if end else text in self.text):
            assert time.monotonic() < deadline, self.text[-300:]
            try:
                data = self._console.socket.recv(65536)
            except TimeoutError:
                self._bench.look(self._seen)  # the fake does things only when it is called
                continue
            assert data, f"it broke off after {self.text[-300:]!r}"
            self.text += self._take(self._console.through(data))
        return self.text

    def close(self) -> None:
        self._console.socket.close()


def follow(bench: Bench, seen: Seen, after: log.Place | None = None, **asked: Any) -> Reader:
    if after is not None:
        asked["since"] = after.since
    return Reader(bench, seen, bench.engine.follow(seen.handle, **asked), after)


def all_of(bench: Bench, seen: Seen, **asked: Any) -> bytes:
    reader = follow(bench, seen, **asked)
    text = reader.until(end=True)
    reader.close()
    return text


def test_as_it_comes_to_its_end(bench: Bench) -> None:
    fake = isinstance(bench.engine, Fake)
    wait = "sleep 2" if fake else "until test -e /tmp/go; do sleep 0.1; done"
    seen = bench.run("sh", "-c", f"echo one; {wait}; echo two >&2")
    reader = follow(bench, seen)
    reader.until(b"one\n")
    assert (b"two" in reader.text, reader.ended) == (False, False)
    if not fake:
        bench.engine.execute(seen.handle, ["touch", "/tmp/go"], 20)
    reader.until(end=True)
    reader.close()
    bench.wait(seen, State.EXITED)
    assert all_of(bench, seen) == b"one\ntwo\n"


def test_what_has_ended(bench: Bench) -> None:
    script = "echo one; sleep 1; echo two >&2; sleep 1; echo three"
    seen = bench.wait(bench.run("sh", "-c", script), State.EXITED)
    assert all_of(bench, seen) == b"one\ntwo\nthree\n"
    assert all_of(bench, seen, stderr=False) == b"one\nthree\n"
    assert all_of(bench, seen, stdout=False) == b"two\n"
    assert all_of(bench, seen, tail="1") == b"three\n"
    assert all_of(bench, seen, tail="0") == b""
    assert all_of(bench, seen, since=str(int(time.time()) + 100)) == b""


def test_on_from_where_one_was(bench: Bench) -> None:
    script = "; ".join(f"echo {number}" for number in range(30))
    seen = bench.wait(bench.run("sh", "-c", script), State.EXITED)
    whole = all_of(bench, seen)
    stamped = bench.engine.logs(seen.handle, timestamps=True)
    for part in (len(stamped) // 3, len(stamped) // 2):  # it broke off anywhere
        first = log.Lines(stamps=False)
        read = first.feed(stamped[:part])
        rest = all_of(bench, seen, after=first.place)
        assert (read + rest, bool(read), bool(rest)) == (whole, True, True)


def test_the_next_run_goes_on(bench: Bench) -> None:
    seen = bench.wait(bench.run("echo", "again"), State.EXITED)
    reader = follow(bench, seen)
    assert reader.until(end=True) == b"again\n"
    reader.close()
    bench.engine.start(seen.handle)
    bench.wait(seen, State.EXITED)
    assert all_of(bench, seen, after=reader.lines.place) == b"again\n"
    assert all_of(bench, seen) == b"again\nagain\n"


def test_a_line_that_is_very_long(real: Bench) -> None:
    terminals = (False, True) if real.engine.name == "docker" else (False,)  # see podman.py
    for tty in terminals:
        script = f"head -c {LONG} /dev/zero | tr '\\0' x; echo; echo two"
        seen = real.wait(real.run("sh", "-c", script, tty=tty), State.EXITED)
        assert all_of(real, seen).replace(b"\r", b"") == b"x" * LONG + b"\ntwo\n"


def test_a_silent_one_is_open_at_once(bench: Bench) -> None:
    seen = bench.run("sleep", "1000")
    begun = time.monotonic()
    follow(bench, seen).close()
    assert time.monotonic() - begun < 5


def test_of_a_terminal(bench: Bench) -> None:
    seen = bench.run("sh", "-c", "echo hello; sleep 1000", tty=True)
    reader = follow(bench, seen)
    assert reader.until(b"hello").split() == [b"hello"]
    reader.close()


def test_a_last_line_that_does_not_end(real: Bench) -> None:
    seen = real.wait(real.run("sh", "-c", "echo one; printf two"), State.EXITED)
    assert all_of(real, seen).rstrip(b"\n") == b"one\ntwo"


def test_of_the_never_started_and_of_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(errors.Absent):
        bench.engine.follow("f" * 64)
    assert all_of(bench, bench.look(bench.create("true"))) == b""
