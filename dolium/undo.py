"""The undo stack: what was done is taken back, newest first, when a step fails definitely.

After a crash nothing is undone: cleaning up is then reconciliation by label (decision 15).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from dolium import errors

LOG = logging.getLogger(__name__)


class Undo:
    """`with Undo() as undo: thing = make(); undo(drop, thing)`.

    Leaving normally forgets the undos. A definite failure runs them; an unknown outcome
    (`errors.Unanswered`) does not, because the thing may well exist: look again. The first
    undo that fails is the last: nothing is taken from under what is still there.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, step: Callable[..., Any], *args: Any) -> None:
        """Remember how to take back what was just done."""
        self._steps.append((step, args))

    def __enter__(self) -> Undo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A BaseException that is no Exception is the process being killed: touch nothing.
        if not isinstance(error, Exception) or isinstance(error, errors.Unanswered):
            return
        for step, args in reversed(self._steps):
            try:
                step(*args)
            except errors.Error as failed:
                # What lies below was done before: a container that could not be removed still
                # needs its ports.
                LOG.warning("could not take back %s: %s", step.__name__, failed)
                return
