"""Keystone's cache in memory, with a limit.

dogpile's own memory backend never forgets, and Keystone's cache keys are tokens: each one would
stay until the process ends. Loaded in the Keystone child only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from dogpile.cache import register_backend
from dogpile.cache.api import NO_VALUE, CacheBackend

LIMIT = 2048
"""Values kept per region of the cache; the one least recently used goes first. A token is about
5 KiB, so that the tokens take 10 MiB at most."""


class Bounded(CacheBackend):
    """A dictionary that forgets what was not used for longest.

    Expiry is the region's own matter: it looks at the time stored beside each value.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._limit = int(arguments.get("limit", LIMIT))
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        """The value, or NO_VALUE."""
        with self._lock:
            if key not in self._values:
                return NO_VALUE
            self._values.move_to_end(key)
            return self._values[key]

    def set(self, key: str, value: Any) -> None:
        """Keep a value, forgetting another one where there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._limit:
                self._values.popitem(last=False)

    def delete(self, key: str) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)


def register() -> None:
    """Take the place of dogpile's memory backend: oslo.cache accepts no name it does not know."""
    register_backend("dogpile.cache.memory", __name__, "Bounded")  # type: ignore[no-untyped-call]
