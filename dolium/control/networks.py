"""Networks and ports of containers: made before a host starts anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dolium import errors
from dolium.drivers.network.base import Driver
from dolium.model.network import Network, Port
from dolium.store import networks
from dolium.store.store import Store, Tx


class Taken:
    """Networks and taken addresses as one transaction knows them."""

    def __init__(self, tx: Tx, projects: Iterable[str]) -> None:
        self.networks = networks.of_projects(tx.connection, projects)
        self.addresses = networks.taken(
            tx.connection, [network.uuid for network in self.networks.values()]
        )
        self.cidrs: set[str] | None = None


class Networks:
    """One default network per project, made on its first container."""

    def __init__(self, store: Store, driver: Driver) -> None:
        self._store = store
        self._driver = driver

    def default(self, project_id: str) -> Network:
        """A project's default network: the one there is, or the one it would get."""
        with self._store.read() as connection:
            found = networks.of_project(connection, project_id)
            return found or self._driver.network(project_id, networks.cidrs(connection))

    def port(
        self,
        tx: Tx,
        taken: Taken,
        uuid: str,
        project_id: str,
        nets: Sequence[dict[str, Any]],
        at: float,
    ) -> Port:
        """A container's port on its project's network, not yet written down.

        Raises Full when there is no address or no range left, Refused for a bad wish.
        """
        network = taken.networks.get(project_id) or self._make(tx, taken, project_id, at)
        used = taken.addresses[network.uuid]
        port = self._driver.port(network, uuid, used, _wanted(nets))
        used.update(ip.address for ip in port.fixed_ips)
        return port

    def _make(self, tx: Tx, taken: Taken, project_id: str, at: float) -> Network:
        if taken.cidrs is None:
            taken.cidrs = networks.cidrs(tx.connection)
        try:
            network = self._driver.network(project_id, taken.cidrs)
        except errors.Full:
            # The range that nobody used for the longest time serves again.
            self._reclaim(tx, taken)
            network = self._driver.network(project_id, taken.cidrs)
        networks.add(tx, network, at)
        taken.cidrs |= {subnet.cidr for subnet in network.subnets}
        taken.networks[project_id] = network
        taken.addresses[network.uuid] = set()
        return network

    def _reclaim(self, tx: Tx, taken: Taken) -> None:
        in_use = {network.uuid for network in taken.networks.values()}
        idle = networks.idle(tx.connection, in_use)
        if idle is None:
            raise errors.Full(what="The pool of networks", why="every network is in use")
        networks.drop(tx, idle.uuid)
        self._driver.drop_network(idle)
        taken.cidrs = networks.cidrs(tx.connection)


def _wanted(nets: Sequence[dict[str, Any]]) -> list[str]:
    asked = nets[0] if nets else {}
    return [asked[key] for key in ("v4-fixed-ip", "v6-fixed-ip") if asked.get(key)]
