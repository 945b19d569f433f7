"""Images that the control side asks for, apart from those of containers.

Nothing of it is written down: who asks gets told how far it is, and asks again after a crash.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from dolium import errors
from dolium.drivers.engine.base import Engine
from dolium.link.base import Line
from dolium.link.stream import Outgoing
from dolium.model.wish import Question

AT_ONCE = 2
"""Pulls under way; more share the same line to the registry."""


class _Pull:
    """One pull under way, or its end that nobody was told of yet."""

    def __init__(self) -> None:
        self.unwanted = False
        self.ended = False
        self.error: errors.DriverError | None = None


class Images:
    """Answers questions about images of this host. Safe to use from many threads."""

    def __init__(
        self,
        engine: Engine,
        stopping: Callable[[], bool],
        spawn: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """spawn: runs a pull beside whoever asks; by default a thread."""
        self._engine = engine
        self._stopping = stopping
        self._spawn = spawn or _thread
        self._lock = threading.Lock()
        self._pulls: dict[str, _Pull] = {}
        self.questions: dict[str, Callable[[dict[str, Any]], Any]] = {
            "pull_image": self._pull,
            "remove_image": self._remove,
            "search_images": self._search,
        }

    def save(self, question: Question) -> Line:
        """{name}: the archive of an image, for whoever reads it; raises DriverError."""
        return Outgoing(self._engine.save(str(question.params["name"])))

    def answer(self, question: Question) -> Any:
        """The value of the answer; raises DriverError."""
        return self.questions[question.what](question.params)

    def _pull(self, params: dict[str, Any]) -> Any:
        """{name}: begin, or tell: None while it goes on, the image when it is there."""
        name = str(params["name"])
        pull = self._begun(name)
        if pull is None or not pull.ended:
            return None
        with self._lock:
            self._pulls.pop(name, None)
        if pull.error is not None:
            raise pull.error
        held = self._engine.image(name)
        return None if held is None else msgspec.structs.asdict(held)

    def _begun(self, name: str) -> _Pull | None:
        """The pull of that name; None: it begins only now, or when there is room."""
        with self._lock:
            pull = self._pulls.get(name)
            if pull is not None:
                return pull
            under_way = sum(not each.ended for each in self._pulls.values())
            if under_way >= AT_ONCE:
                return None
            pull = self._pulls[name] = _Pull()
        self._spawn(lambda: self._fetch(name, pull))
        return None

    def _fetch(self, name: str, pull: _Pull) -> None:
        try:
            self._engine.pull(name, "always", lambda: pull.unwanted or self._stopping())
        except errors.DriverError as error:
            pull.error = error
        except Exception as error:
            pull.error = errors.Unanswered(what="The engine", why=f"a bug: {error}")
            raise
        finally:
            with self._lock:
                pull.ended = True
                if pull.unwanted:
                    self._pulls.pop(name, None)

    def _remove(self, params: dict[str, Any]) -> Any:
        """{name}: {} when it is gone, None while a pull of it still goes on."""
        name = str(params["name"])
        with self._lock:
            pull = self._pulls.get(name)
            if pull is not None and not pull.ended:
                pull.unwanted = True
                return None
            self._pulls.pop(name, None)
        self._engine.remove_image(name)
        return {}

    def _search(self, params: dict[str, Any]) -> Any:
        """{name, exact}: what the registry has."""
        found = self._engine.search_images(str(params["name"]))
        if params.get("exact"):
            found = [each for each in found if each.name == params["name"]]
        return [msgspec.structs.asdict(each) for each in found]


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="agent-image", daemon=True).start()
