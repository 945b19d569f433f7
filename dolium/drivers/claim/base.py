"""The interface of a claim driver on the control side.

The driver knows hosts as *providers* and claims as *consumers*. A consumer is named before it is
taken, is taken on one provider, and is never taken again once it was given back: so everything
here may be repeated, also late, and by several conductors at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from dolium.model.placing import Amounts


class Taking(Struct, frozen=True, kw_only=True, gc=False):
    """What one container takes of a host."""

    consumer: str
    provider: str
    project_id: str
    amounts: Amounts


class Holding(Struct, frozen=True, kw_only=True):
    """What a consumer has."""

    takings: dict[str, Amounts]
    """By provider."""
    turn: int
    """Grows with each change of it."""
    ours: bool
    """Whether it bears this deployment's mark."""


class Offer(Struct, frozen=True, kw_only=True):
    """What a host of ours has to give, before overcommit."""

    cpus: int
    cpu_ratio: float
    memory_mib: int
    reserved_mib: int
    memory_ratio: float
    disk_gib: int


class Survey(Struct, frozen=True, kw_only=True):
    """A provider: what may be taken of it all in all, and who has what."""

    room: Amounts
    held: dict[str, Amounts]


class Driver(ABC):
    """Decides who gets what is left of a host.

    Every method raises Unanswered when there was no definite answer: it may have been done.
    """

    name: ClassVar[str]

    @abstractmethod
    def find(self, name: str) -> str | None:
        """When a host is shared with others, who made its provider: the id of that, if it is
        there.
        """

    @abstractmethod
    def offer(self, provider: str, name: str, offer: Offer) -> None:
        """When a host is Dolium's own and was seen first, or may have changed: make its provider,
        or correct what it has. Raises Refused when another provider has the name.
        """

    @abstractmethod
    def survey(self, provider: str) -> Survey:
        """Now and then, and when something was refused: all about a provider, or Absent."""

    @abstractmethod
    def take(self, takings: Sequence[Taking]) -> None:
        """When containers were given hosts: all of them or none.

        Raises Full when one does not fit, Absent when there is no such provider, Refused when a
        consumer has something already: `held` tells what.
        """

    @abstractmethod
    def change(self, taking: Taking, turn: int) -> None:
        """When a consumer is to have something else than at `turn`. Raises Full when it does not
        fit, Refused when it was changed meanwhile.
        """

    @abstractmethod
    def held(self, consumer: str) -> Holding | None:
        """When it is not certain what a consumer has; None: nothing."""

    @abstractmethod
    def give_back(self, consumer: str) -> None:
        """When nobody needs what a consumer has. Having nothing is fine."""
