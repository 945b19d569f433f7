"""A fence for tests: knows which hosts are off, and turns off what it can reach."""

from __future__ import annotations

from collections.abc import Callable

from dolium import errors
from dolium.drivers.fence.base import Driver


class Fake(Driver):
    """Power in memory."""

    name = "fake"
    Options = type(None)

    def __init__(self, options: None = None) -> None:
        self.known: dict[str, bool] = {}
        """Whether each host that it knows is off."""
        self.answers = True
        self.switch: Callable[[str], None] | None = None
        """Turns a host off; None: it can only look."""
        self.asked: list[str] = []

    def off(self, host: str) -> str:
        """See base."""
        self.asked.append(host)
        if not self.answers:
            raise errors.Unanswered(what="The power supply", why="simulated")
        if host not in self.known:
            raise errors.Refused(why=f"Nobody knows host {host}")
        if not self.known[host]:
            if self.switch is None:
                raise errors.Refused(why=f"Host {host} is on")
            self.switch(host)
            self.known[host] = True
        return "its power is off"
