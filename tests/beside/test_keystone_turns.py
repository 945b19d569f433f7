"""Keystone's writers take turns."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dolium.beside.keystone_turns import take


class Sessions:
    """Counts how many write at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    @contextmanager
    def begin(self) -> Iterator[int]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        yield self.inside
        self.inside -= 1


def test_one_writes_at_a_time() -> None:
    sessions = Sessions()
    write = take(sessions.begin)
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(30)
        for _ in range(500):
            with write() as inside:
                assert inside == 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sessions.most == 1


def test_a_writer_may_begin_again() -> None:
    sessions = Sessions()
    write = take(sessions.begin)
    with write(), write() as inside:
        assert inside == 2


def test_a_failure_ends_the_turn() -> None:
    write = take(Sessions().begin)
    try:
        with write():
            raise ValueError
    except ValueError:
        pass
    done = threading.Event()

    def next_one() -> None:
        with write():
            done.set()

    threading.Thread(target=next_one, daemon=True).start()
    assert done.wait(30)
