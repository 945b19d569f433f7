"""Reading JSON into typed values, from any number of threads.

msgspec works out at the first use of a Struct how it is read, and a second thread that comes
meanwhile reads by half of that: the process dies of a segmentation fault (msgspec 0.22; eight
threads and a new type each time: within a few hundred rounds). So it is worked out under a lock,
once for each type.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_LOCK = threading.RLock()
_READERS: dict[Any, Callable[[bytes | str], Any]] = {}


def reader(kind: type[T]) -> Callable[[bytes | str], T]:
    """What reads values of a type; it raises msgspec.DecodeError for anything else."""
    found = _READERS.get(kind)
    if found is None:
        with _LOCK:
            found = _READERS.setdefault(kind, msgspec.json.Decoder(kind).decode)
    return found


def read(data: bytes | str, kind: type[T]) -> T:
    """Read one value; raises msgspec.DecodeError."""
    return reader(kind)(data)
