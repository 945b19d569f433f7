"""The interface of a network driver on the control side.

Ids are derived from what the thing is for, before it is made, so that a retry finds what an
earlier try made. The driver sees no database: what is taken already is handed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Container
from typing import ClassVar

from dolium.model.network import Network, Port


class Driver(ABC):
    """Makes networks and ports."""

    name: ClassVar[str]
    instant: ClassVar[bool] = False
    """True when no method waits for anything outside, so that the control side may call it
    inside a transaction."""

    @abstractmethod
    def network(self, project_id: str, taken: Collection[str]) -> Network:
        """When a project's first container needs its default network.

        taken: CIDRs of all networks there are. Raises Full when the pool is used up.
        """

    @abstractmethod
    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        """When a container was placed: its port on the network.

        taken: addresses in use on the network; wanted: addresses the user asked for, one per
        IP version at most. Raises Full when the subnet is used up, Refused when a wanted
        address is not free or not in the subnet.
        """

    @abstractmethod
    def drop_port(self, port: Port) -> None:
        """After the container stopped and was unplugged. Absent is fine."""

    @abstractmethod
    def drop_network(self, network: Network) -> None:
        """When nobody uses the network any more. Absent is fine."""
