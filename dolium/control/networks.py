"""Networks and ports of containers: made before a host starts anything."""

from __future__ import annotations

from dolium import errors
from dolium.drivers.network.base import Driver
from dolium.model.container import Spec
from dolium.model.network import Network, Port
from dolium.store import networks
from dolium.store.store import Store, Tx


class Taken:
    """Networks and taken addresses as one transaction knows them."""

    def __init__(self) -> None:
        self.networks: dict[str, Network] = {}
        self.addresses: dict[str, set[str]] = {}


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

    def port(self, tx: Tx, taken: Taken, uuid: str, project_id: str, spec: Spec, at: float) -> Port:
        """A container's port on its project's network, not yet written down.

        Raises Full when there is no address or no range left, Refused for a bad wish.
        """
        network = self._network(tx, taken, project_id, at)
        if network.uuid not in taken.addresses:
            taken.addresses[network.uuid] = networks.taken(tx.connection, network.uuid)
        used = taken.addresses[network.uuid]
        port = self._driver.port(network, uuid, used, _wanted(spec))
        used.update(ip.address for ip in port.fixed_ips)
        return port

    def _network(self, tx: Tx, taken: Taken, project_id: str, at: float) -> Network:
        if project_id in taken.networks:
            return taken.networks[project_id]
        network = networks.of_project(tx.connection, project_id)
        if network is None:
            network = self._make(tx, project_id)
            networks.add(tx, network, at)
        taken.networks[project_id] = network
        return network

    def _make(self, tx: Tx, project_id: str) -> Network:
        cidrs = networks.cidrs(tx.connection)
        try:
            return self._driver.network(project_id, cidrs)
        except errors.Full:
            idle = networks.idle(tx.connection)
            if idle is None:
                raise
        # The pool is used up: the range that nobody used for the longest time serves again.
        networks.drop(tx, idle.uuid)
        self._driver.drop_network(idle)
        return self._driver.network(project_id, cidrs - {s.cidr for s in idle.subnets})


def _wanted(spec: Spec) -> list[str]:
    asked = spec.nets[0] if spec.nets else {}
    return [asked[key] for key in ("v4-fixed-ip", "v6-fixed-ip") if asked.get(key)]
