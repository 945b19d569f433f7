"""Modules of libraries that are loaded when they are first used instead of when they are imported.

For what a library imports at its top and hardly anybody comes to use.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


def defer(*names: str) -> None:
    """Let each module be loaded when one of its attributes is first asked for; call it before they
    are imported. A name that there is no module of does no harm.

    Python 3.11 loads it without a lock: only for what no two threads come to use at once.
    """
    sys.meta_path.insert(0, _Later(names))


class _Later(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
