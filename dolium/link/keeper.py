"""A thread that looks after something again and again, such as certificates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from dolium import errors

LOG = logging.getLogger(__name__)

EVERY_S = 15.0
"""What is revoked counts everywhere after this time at most."""


class Keeper:
    """Does its tasks from `start` to `stop`; one that fails is tried again the next time."""

    def __init__(
        self, name: str, tasks: Sequence[Callable[[], object]], every_s: float = EVERY_S
    ) -> None:
        self._tasks, self._every_s = tasks, every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first time comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            for task in self._tasks:
                try:
                    task()
                except errors.Error as error:
                    LOG.warning("%s; trying again", error)
                except Exception:
                    LOG.exception("%s failed; trying again", self._thread.name)
