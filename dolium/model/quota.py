"""What a project may use, and what it does."""

from __future__ import annotations

from msgspec import Struct

UNLIMITED = -1
"""A limit that is none."""

DEFAULT = "default"
"""The quota class whose limits projects have that nobody limited."""


class Amounts(Struct, frozen=True, kw_only=True):
    """What containers take, or limits of it."""

    containers: int = 0
    cpu_m: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


Limits = dict[str, int]
"""Some limits, by names of Amounts."""
