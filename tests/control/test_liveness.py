"""The judge alone: whatever the counters do, these rules hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dolium.control.liveness import Judge, Judgement, crowded
from dolium.store.liveness import Life

SILENT_S, MARGIN_S = 30.0, 30.0


def life(name: str, **values: Any) -> Life:
    known: dict[str, Any] = {"name": name, "zone": "nova", "beat": 1, "lease_s": 0, "silent": False}
    known |= {"silent_at": None, "held": False, "forced_beat": None, "proof": None}
    return Life(**(known | values))


def judge() -> Judge:
    return Judge(SILENT_S, MARGIN_S)


def watch(judge: Judge, start: int, end: int, *lives: Life) -> Judgement:
    """Looks each second; returns the last judgement."""
    for now in range(start, end):
        judge.look(float(now), lives)
    return judge.look(float(end), lives)


def test_who_stands_still_is_silent() -> None:
    others = [life(f"h{n}") for n in range(2)]
    one = judge()
    for now in range(30):
        moving = [life(name.name, beat=now) for name in others]
        assert not one.look(float(now), [life("still"), *moving]).fallen
    found = one.look(30.0, [life("still"), *(life(o.name, beat=99) for o in others)])
    assert (found.fallen, found.held) == ({"still": 1}, frozenset())


def test_a_judge_that_has_just_started_or_has_slept_waits() -> None:
    one = judge()
    assert not watch(one, 0, 29, life("h")).fallen
    assert not one.look(100.0, [life("h")]).fallen  # it slept
    assert not watch(one, 101, 129, life("h")).fallen
    assert watch(one, 130, 130, life("h")).fallen == {"h": 1}


def test_who_moves_again_is_heard_of() -> None:
    one = judge()
    assert not watch(one, 0, 5, life("h", silent=True)).risen
    assert one.look(6.0, [life("h", silent=True, beat=2)]).risen == {"h": 2}
    assert not one.look(7.0, [life("h", silent=True, beat=3, proof="off")]).risen


def test_a_promise_is_kept_after_silence_lease_and_margin() -> None:
    one = judge()
    bound = life("h", silent=True, lease_s=40)
    watch(one, 0, 29, life("h", lease_s=40))
    assert not watch(one, 30, 99, bound, life("other", silent=True)).kept
    assert one.look(100.0, [bound, life("other", silent=True)]).kept == {"h": 1}
    assert not one.look(101.0, [life("h", silent=True, lease_s=40, held=True)]).kept


def test_a_promise_runs_from_when_silence_was_written_down() -> None:
    """Whoever was answered before may not be counted yet, whoever is answered later is."""
    one = judge()
    watch(one, 0, 200, life("h", lease_s=40))  # nothing could be written down
    bound = life("h", silent=True, lease_s=40)
    assert not watch(one, 201, 270, bound).kept
    assert one.look(271.0, [bound]).kept == {"h": 1}


def test_a_crowd_is_more_than_one_and_more_than_a_tenth_or_a_whole_domain() -> None:
    hosts = [life(f"h{n}") for n in range(30)]
    names = [host.name for host in hosts]
    assert not crowded(names[:1], hosts[:1])
    assert not crowded(names[:1], hosts[:5])
    assert crowded(names[:2], hosts[:19])
    assert not crowded(names[:3], hosts)
    assert crowded(names[:4], hosts)
    zoned = [life(f"h{n}", zone=f"z{n // 2}") for n in range(30)]
    assert crowded(names[:2], zoned)
    assert not crowded(names[1:3], zoned)


def test_hosts_that_died_at_once_are_held_though_they_fall_one_after_another() -> None:
    one = judge()
    last = {"a": 3, "b": 9}  # when each was heard of last
    for now in range(60):
        lives = [life(f"h{n}", beat=now) for n in range(8)]
        lives += [life(name, beat=min(now, at)) for name, at in last.items()]
        found = one.look(float(now), lives)
        if found.fallen:
            assert found.fallen == {"a": 3}
            assert found.held == {"a", "b"}
            return
    raise AssertionError("nobody fell")


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, dict[str, int]]]:
    """Looks at irregular times, at counters that only grow."""
    names = [f"h{n}" for n in range(draw(st.integers(1, 12)))]
    beats, now, looks = dict.fromkeys(names, 0), 0.0, []
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0.5, 1.0, 5.0, 14.0, 16.0, 40.0]))
        for name in draw(st.sets(st.sampled_from(names))):
            beats[name] += draw(st.integers(1, 3))
        looks.append((now, dict(beats)))
    return looks


@given(histories(), st.integers(0, 60))
def test_no_verdict_without_having_watched_for_as_long(
    looks: list[tuple[float, dict[str, int]]], lease_s: int
) -> None:
    one, silent = judge(), set[str]()
    seen: list[tuple[float, dict[str, int]]] = []
    for now, beats in looks:
        lives = [
            life(name, beat=beat, silent=name in silent, lease_s=lease_s)
            for name, beat in beats.items()
        ]
        found = one.look(now, lives)
        seen.append((now, beats))
        for name in found.fallen:
            assert _watched(seen, name) >= SILENT_S
            assert name not in silent
        for name in found.kept:
            assert lease_s
            assert _watched(seen, name) >= lease_s + MARGIN_S
        for name in found.risen:
            assert name in silent
            assert seen[-2][1][name] != beats[name]
        together = [name for name in found.fallen if len(found.fallen) > 1]
        if len(together) * 10 > len(lives):
            assert set(together) <= found.held
        silent = (silent | found.fallen.keys()) - found.risen.keys()


def _watched(seen: list[tuple[float, dict[str, int]]], name: str) -> float:
    """How long the counter was watched without a gap and did not move, until the last look."""
    end, beats = seen[-1]
    start = end
    for now, earlier in reversed(seen[:-1]):
        if start - now > SILENT_S / 2 or earlier[name] != beats[name]:
            break
        start = now
    return end - start
