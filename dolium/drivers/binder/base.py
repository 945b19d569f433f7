"""The interface of a binder: the one piece on a host that touches links, addresses and rules.

Front ends (the Docker network plugin now, CNI and direct calls later) decide when; the agent's
journal around it remembers what; the binder itself is stateless and idempotent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from msgspec import Struct

from dolium.model.network import Network, Port


class Bound(Struct, frozen=True, kw_only=True):
    """What of ours exists on the host, read from the kernel."""

    networks: frozenset[str]
    """Interface names of bridges that bear our mark."""
    ports: frozenset[str]
    """Host-side interface names of plugged ports that bear our mark."""
    loose: frozenset[str] = frozenset()
    """Those of `ports` whose inner side is in no container (not yet, or no longer)."""


class Binder(ABC):
    """Plugs ports."""

    name: ClassVar[str]

    @abstractmethod
    def prepare(self) -> None:
        """When the agent starts: forwarding, rules; repeated in each periodic look, because
        others change rules too.
        """

    @abstractmethod
    def network_name(self, network_uuid: str) -> str:
        """Interface name (at most 15 characters) of a network's bridge: pure."""

    @abstractmethod
    def port_name(self, port_uuid: str) -> str:
        """Interface name of a port's host side: pure."""

    @abstractmethod
    def wire(self, network: Network) -> None:
        """Before the first port of a network: bridge, gateway addresses, rules."""

    @abstractmethod
    def unwire(self, network_uuid: str) -> None:
        """After the last one. Absent is fine."""

    @abstractmethod
    def make(self, network: Network, port: Port) -> str:
        """Make the port's pair of interfaces, the host side on the network; returns the name of
        the side to be moved into the container. Called again for a half-made pair: makes it
        anew. A network that the kernel lost (a reboot) is wired again.
        """

    @abstractmethod
    def unmake(self, port_uuid: str) -> None:
        """Remove the pair wherever its inner side is. Absent is fine."""

    @abstractmethod
    def sweep(self, name: str) -> None:
        """In the periodic look: remove an interface out of `bound` that nobody remembers;
        a bridge stays while something is plugged into it. Absent is fine.
        """

    @abstractmethod
    def bound(self) -> Bound:
        """In the periodic look: what is there."""

    @abstractmethod
    def release(self) -> None:
        """On an orderly `down`: take rules and settings of ours off the host."""
