"""Keystone's cache has a limit."""

import threading

from dogpile.cache.api import NO_VALUE

from dolium.beside.cache import Bounded


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = Bounded({"limit": 2})
    cache.set("a", 1)
    cache.set("b", 2)
    assert cache.get("a") == 1
    cache.set("c", 3)
    assert cache.get("b") is NO_VALUE and cache.get("a") == 1 and cache.get("c") == 3
    cache.delete("a")
    cache.delete("a")
    assert cache.get("a") is NO_VALUE and len(cache) == 1


def test_the_cache_bears_threads() -> None:
    cache = Bounded({"limit": 50})

    def work(seed: int) -> None:
        for number in range(2000):
            cache.set(str((number * seed) % 97), number)
            cache.get(str(number % 97))
            cache.delete(str(number % 89))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) <= 50
