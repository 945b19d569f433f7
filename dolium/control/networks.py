"""Networks and ports of containers: made before a host starts anything."""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from typing import Any

from dolium import errors
from dolium.drivers.network.base import Driver
from dolium.model.network import Network, Port
from dolium.store import networks
from dolium.store.store import Conflict, Store, Tx

MOST_MET = 8
"""Addresses in use that are met one by one before all of them are read."""


class Addresses(Container[str]):
    """Addresses in use on one network: looked up one by one, or all read where most are in use."""

    def __init__(self, tx: Tx, network_uuid: str) -> None:
        self._connection = tx.connection
        self._network_uuid = network_uuid
        self._known: set[str] = set()
        self._complete = False
        self._met = 0

    def __contains__(self, address: object) -> bool:
        if address in self._known or self._complete:
            return address in self._known
        if not networks.taken(self._connection, self._network_uuid, str(address)):
            return False
        self._met += 1
        if self._met == MOST_MET:
            self._known |= networks.addresses_of(self._connection, self._network_uuid)
            self._complete = True
        return True

    def give(self, port: Port) -> None:
        """The port's addresses are in use from now on, though not written down yet."""
        for ip in port.fixed_ips:
            self._known.add(ip.address)


class Taken:
    """Networks and their addresses as one transaction knows them, read when first needed."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self._networks: dict[str, tuple[Network, Addresses] | None] = {}
        """None: the project has none yet."""
        self._cidrs: set[str] | None = None

    def expect(self, project_ids: Collection[str]) -> None:
        """These are going to be asked for: fetch them together, where there are several."""
        if len(project_ids) > 1:
            self._networks |= dict.fromkeys(project_ids)
            for network in networks.of_projects(self.tx.connection, project_ids):
                self.know(network)

    def of(self, project_id: str) -> tuple[Network, Addresses] | None:
        """A project's default network with its addresses."""
        if project_id not in self._networks:
            found = networks.of_project(self.tx.connection, project_id)
            if found is None:
                return None
            self.know(found)
        return self._networks[project_id]

    def know(self, network: Network) -> None:
        """There is this network now."""
        self._networks[network.project_id] = network, Addresses(self.tx, network.uuid)
        if self._cidrs is not None:
            self._cidrs |= {subnet.cidr for subnet in network.subnets}

    def cidrs(self, *, anew: bool = False) -> set[str]:
        """Ranges of all networks."""
        if self._cidrs is None or anew:
            self._cidrs = networks.cidrs(self.tx.connection)
        return self._cidrs

    def uuids(self) -> set[str]:
        """Networks that were looked at, and may have ports that are not written down yet."""
        return {known[0].uuid for known in self._networks.values() if known is not None}


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

    def find(self, uuid: str) -> Network:
        """Any project's by its id."""
        with self._store.glance() as connection:
            found = networks.get(connection, uuid)
        if found is None:
            raise errors.NotFound(kind="Neutron network", id=uuid)
        return found

    def delete(self, uuid: str) -> None:
        """Forget a network, whose project gets another one with its next container; raises
        Conflict while one has a port on it. Hosts forget it by themselves.
        """
        network = self.find(uuid)
        if not self._store.write(lambda tx: networks.drop(tx, uuid)):
            raise errors.Conflict(why=f"Network {uuid} is in use by a container.")
        self._driver.drop_network(network)

    def port(
        self,
        taken: Taken,
        uuid: str,
        project_id: str,
        nets: Sequence[dict[str, Any]],
        at: float,
    ) -> Port:
        """A container's port on its project's network, not yet written down.

        Raises Full when there is no address or no range left, Refused for a bad wish.
        """
        known = taken.of(project_id)
        if known is None:
            taken.know(self._make(taken, project_id, at))
            return self.port(taken, uuid, project_id, nets, at)
        network, used = known
        port = self._driver.port(network, uuid, used, _wanted(nets))
        used.give(port)
        return port

    def _make(self, taken: Taken, project_id: str, at: float) -> Network:
        try:
            network = self._driver.network(project_id, taken.cidrs())
        except errors.Full:
            # The range that nobody used for the longest time serves again.
            self._reclaim(taken)
            network = self._driver.network(project_id, taken.cidrs(anew=True))
        networks.add(taken.tx, network, at)
        return network

    def _reclaim(self, taken: Taken) -> None:
        idle = networks.idle(taken.tx.connection, taken.uuids())
        if idle is None:
            raise errors.Full(what="The pool of networks", why="every network is in use")
        if not networks.drop(taken.tx, idle.uuid):
            raise Conflict
        self._driver.drop_network(idle)


def _wanted(nets: Sequence[dict[str, Any]]) -> list[str]:
    if not nets:
        return []
    asked = nets[0]
    return [asked[key] for key in ("v4-fixed-ip", "v6-fixed-ip") if asked.get(key)]
