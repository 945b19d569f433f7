"""A log in pieces: whole again, however it is cut; and read on from any place in it."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from dolium.model import log
from dolium.model.log import Lines, Place

LINES = st.lists(
    st.tuples(st.integers(0, 3), st.binary(max_size=6).map(lambda text: text.replace(b"\n", b" "))),
    max_size=12,
)


def stamp(second: int) -> bytes:
    return b"2026-11-26T09:00:0%d.000000000Z" % second


def written(lines: list[tuple[int, bytes]]) -> list[bytes]:
    """As an engine writes them: in the order of their stamps."""
    return [
        stamp(second) + b" " + text + b"\n"
        for second, text in sorted(lines, key=lambda each: each[0])
    ]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[one:other] for one, other in itertools.pairwise(places)]


@given(st.lists(st.binary(min_size=1, max_size=300)), st.lists(st.integers(0, 5000)), st.booleans())
def test_pieces_are_whole_again(texts: list[bytes], at: list[int], ends: bool) -> None:
    sent = b"".join(map(log.piece, texts)) + log.END * ends
    pieces = log.Pieces()
    assert b"".join(map(pieces.feed, cut(sent, at))) == b"".join(texts)
    assert pieces.ended is ends


@given(LINES, st.lists(st.integers(0, 500)))
def test_stamps_are_taken_off_or_left(lines: list[tuple[int, bytes]], at: list[int]) -> None:
    whole = written(lines)
    parts = cut(b"".join(whole), at)
    left, off = Lines(stamps=True), Lines(stamps=False)
    assert b"".join(map(left.feed, parts)) == b"".join(whole)
    assert b"".join(map(off.feed, parts)) == b"".join(line.partition(b" ")[2] for line in whole)


@given(LINES, st.integers(0, 500), st.lists(st.integers(0, 500)), st.booleans())
def test_who_comes_back_misses_and_repeats_nothing(
    lines: list[tuple[int, bytes]], end: int, at: list[int], stamps: bool
) -> None:
    whole = b"".join(written(lines))
    whole_shown = Lines(stamps=stamps).feed(whole)
    first = Lines(stamps=stamps)
    read = first.feed(whole[: end % (len(whole) + 1)])
    place = first.place
    # The engine gives everything from the stamp on, that of the place too.
    again = b"".join(line for line in written(lines) if line.partition(b" ")[0] >= place.stamp)
    second = Lines(stamps=stamps, after=place)
    read += b"".join(map(second.feed, cut(again, at)))
    assert read == whole_shown
    if again:
        through = Lines(stamps=stamps)
        through.feed(whole)
        assert second.place == through.place


def test_a_place_can_be_asked_for() -> None:
    assert Place(b"2026-11-26T09:00:01.000000042Z").since == "1795683601.000000042"
    assert Place(b"2026-11-26T09:00:01.5Z").since == "1795683601.500000000"
    assert Place(b"2026-11-26T10:00:01+01:00").since == "1795683601.000000000"
    assert Place().since == Place(b"yesterday").since == ""
    assert re.fullmatch(r"\d+\.\d{9}", Place(stamp(1)).since)


def test_a_line_without_a_stamp_is_shown_all_the_same() -> None:
    assert Lines(stamps=True).feed(b"x\n" + stamp(1) + b" y\n") == b"x\n" + stamp(1) + b" y\n"
