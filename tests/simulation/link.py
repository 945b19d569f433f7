"""The way of the simulation's agents to its control side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from dolium.link.local import LocalControl
from dolium.model.host import Hello, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Facts, Fate, Page
from tests.simulation.chaos import Wire

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")


class Link:
    """An agent's way to the control side: as bad as the dice want it, each time to any process."""

    def __init__(self, world: World, wire: Wire) -> None:
        self._world = world
        self._wire = wire

    def _carry(self, what: str, call: Callable[[LocalControl], T]) -> T:
        return cast("T", self._wire.message(what, lambda: self._world.answer(call)))

    def hello(self, hello: Hello) -> Welcome:
        """See link.base; whoever says it listens to no older answers."""
        self._wire.forget()
        return self._carry("hello", lambda control: control.hello(hello))

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        """See link.base."""
        return self._carry("wishes", lambda control: control.wishes(host, boot, since, 0))

    def post(self, facts: Facts) -> Ack:
        """See link.base."""
        return self._carry("post", lambda control: control.post(facts))

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        """See link.base."""
        return self._carry("fate", lambda control: control.fate(host, uuids))

    def login(self, host: str, boot: str, uuid: str) -> Login:
        """See link.base."""
        return self._carry("login", lambda control: control.login(host, boot, uuid))

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        """See link.base."""
        return self._carry("image", lambda control: iter([*control.image(host, boot, uuid)]))
