"""A claim driver for tests: an inventory in memory that can be away, and lose answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.drivers.claim.base import Driver, Holding, Offer, Survey, Taking
from dolium.model.placing import Amounts


class FakeOptions(Struct, frozen=True, kw_only=True):
    """Whose consumers are ours."""

    deployment: str = "deployment"


class Fake(Driver):
    """Providers and consumers in memory."""

    name = "fake"
    Options = FakeOptions

    def __init__(self, options: FakeOptions | None = None) -> None:
        self._owner = (options or FakeOptions()).deployment
        self.names: dict[str, str] = {}
        """Name of each provider."""
        self.rooms: dict[str, Amounts] = {}
        self.consumers: dict[str, Holding] = {}
        self.marks: dict[str, str] = {}
        """Which deployment took each consumer."""
        self.calls: list[str] = []
        self.fate: Callable[[str], str] = lambda verb: "answer"
        """For each call: `answer`, `away` (nothing happens) or `lost` (it is done, and no answer
        comes).
        """

    # --- what others do --------------------------------------------------------------------------

    def put(self, provider: str, name: str, room: Amounts) -> None:
        """Somebody makes a provider, or gives it more or less."""
        self.names[provider], self.rooms[provider] = name, room

    def used(self, provider: str) -> Amounts:
        """What all consumers together have of it."""
        return _sum(h.takings[provider] for h in self.consumers.values() if provider in h.takings)

    # --- driver ----------------------------------------------------------------------------------

    def find(self, name: str) -> str | None:
        """See base."""
        self._call("find")
        return next((each for each, known in self.names.items() if known == name), None)

    def offer(self, provider: str, name: str, offer: Offer) -> None:
        """See base."""
        lost = self._call("offer")
        if any(known == name and each != provider for each, known in self.names.items()):
            raise errors.Refused(why=f"Another provider is named {name}")
        memory = int((offer.memory_mib - offer.reserved_mib) * offer.memory_ratio)
        cpus = int(offer.cpus * offer.cpu_ratio)
        self.put(provider, name, Amounts(cpus * 1000, memory, offer.disk_gib))
        _answer(lost)

    def survey(self, provider: str) -> Survey:
        """See base."""
        self._call("survey")
        if provider not in self.rooms:
            raise errors.Absent(what=f"Provider {provider}")
        held = {
            consumer: holding.takings[provider]
            for consumer, holding in self.consumers.items()
            if provider in holding.takings
        }
        return Survey(room=self.rooms[provider], held=held)

    def take(self, takings: Sequence[Taking]) -> None:
        """See base."""
        lost = self._call("take")
        for taking in takings:
            if taking.provider not in self.rooms:
                raise errors.Absent(what=f"Provider {taking.provider}")
            if taking.consumer in self.consumers:
                raise errors.Refused(why=f"Consumer {taking.consumer} has something already")
        for provider in {taking.provider for taking in takings}:
            more = [taking.amounts for taking in takings if taking.provider == provider]
            self._fit(provider, _sum([self.used(provider), *more]))
        for taking in takings:
            self._set(taking, 1)
        _answer(lost)

    def change(self, taking: Taking, turn: int) -> None:
        """See base."""
        lost = self._call("change")
        known = self.consumers.get(taking.consumer)
        if known is None or known.turn != turn:
            raise errors.Refused(why=f"Consumer {taking.consumer} was changed meanwhile")
        del self.consumers[taking.consumer]
        try:
            self._fit(taking.provider, _sum([self.used(taking.provider), taking.amounts]))
        except errors.Full:
            self.consumers[taking.consumer] = known
            raise
        self._set(taking, turn + 1)
        _answer(lost)

    def held(self, consumer: str) -> Holding | None:
        """See base."""
        self._call("held")
        found = self.consumers.get(consumer)
        if found is None or consumer not in self.marks:
            return found
        return msgspec.structs.replace(found, ours=self.marks[consumer] == self._owner)

    def give_back(self, consumer: str) -> None:
        """See base."""
        lost = self._call("give_back")
        self.consumers.pop(consumer, None)
        _answer(lost)

    def _call(self, verb: str) -> bool:
        self.calls.append(verb)
        fate = self.fate(verb)
        if fate == "away":
            raise errors.Unanswered(what="Placement", why="simulated")
        return fate == "lost"

    def _fit(self, provider: str, wanted: Amounts) -> None:
        room = self.rooms[provider]
        if (
            wanted.cpu_m > room.cpu_m
            or wanted.memory_mib > room.memory_mib
            or wanted.disk_gib > room.disk_gib
        ):
            raise errors.Full(what=f"Provider {self.names[provider]}", why="simulated")

    def _set(self, taking: Taking, turn: int) -> None:
        takings = {taking.provider: taking.amounts}
        self.consumers[taking.consumer] = Holding(takings=takings, turn=turn, ours=True)
        self.marks[taking.consumer] = self._owner


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    cpu_m = memory_mib = disk_gib = 0
    for each in amounts:
        cpu_m += each.cpu_m
        memory_mib += each.memory_mib
        disk_gib += each.disk_gib
    return Amounts(cpu_m, memory_mib, disk_gib)


def _answer(lost: bool) -> None:
    if lost:
        raise errors.Unanswered(what="Placement", why="the answer was lost")
