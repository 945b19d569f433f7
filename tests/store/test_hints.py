"""Hints wake whom they concern, once, and nobody else."""

from __future__ import annotations

import threading

from dolium.store.hints import Hints


def test_a_hint_between_looking_and_waiting_is_not_lost() -> None:
    hints = Hints()
    seen = hints.count("a")
    hints.give("a")
    assert hints.wait("a", seen, 60.0) == seen + 1


def test_only_those_who_wait_for_the_topic_are_woken() -> None:
    hints, woken = Hints(), threading.Semaphore(0)
    counts: list[tuple[str, int]] = []

    def wait(topic: str) -> None:
        counts.append((topic, hints.wait(topic, 0, 60.0)))
        woken.release()

    threads = [threading.Thread(target=wait, args=(topic,)) for topic in ("a", "a", "b")]
    for thread in threads:
        thread.start()
    while sum(waiters.number for waiters in hints._waiting.values()) < 3:
        pass
    hints.give("a")
    assert woken.acquire(timeout=60) and woken.acquire(timeout=60)
    assert counts == [("a", 1), ("a", 1)]
    assert list(hints._waiting) == ["b"]
    hints.give("b")
    for thread in threads:
        thread.join()
    assert hints._waiting == {}


def test_time_ends_a_wait() -> None:
    hints = Hints()
    assert hints.wait("a", 0, 0.0) == 0
    assert hints._waiting == {}


def test_what_is_given_here_is_forwarded_and_what_comes_from_there_is_not() -> None:
    hints, forwarded = Hints(), list[str]()
    hints.forward = forwarded.append
    hints.give("here")
    hints.wake("there")
    assert forwarded == ["here"]
    assert (hints.count("here"), hints.count("there")) == (1, 1)
