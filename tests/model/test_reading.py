"""Values are read by many threads at once."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from dolium.model import reading

RACE = """
import sys, threading
import msgspec
from dolium.model import reading

sys.setswitchinterval(1e-6)
document = b'{"id": "x", "inner": {"state": "running", "labels": {"a": "b"}, "command": ["c"]}}'
for number in range(400):
    inner = msgspec.defstruct(
        f"Inner{number}",
        [("state", str), ("labels", dict[str, str] | None), ("command", list[str] | str | None)],
    )
    outer = msgspec.defstruct(f"Outer{number}", [("id", str), ("inner", inner)])
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        reading.read(document, outer)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_a_type_may_be_new_to_many_threads_at_once() -> None:
    """A process of its own, as msgspec's own way ends it by a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", RACE], timeout=120, check=False)
    assert done.returncode == 0


def test_what_is_of_another_type_is_refused() -> None:
    assert reading.read(b'{"a": 1}', dict[str, int]) == {"a": 1}
    with pytest.raises(msgspec.ValidationError):
        reading.read(b'{"a": "b"}', dict[str, int])
