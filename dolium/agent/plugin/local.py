"""Addresses for people who type `docker run --net` on this host.

They get what each subnet keeps for hosts (`Subnet.local`), on networks of the one project that
the operator named; containers of the API never have such addresses.
"""

from __future__ import annotations

import threading
import uuid
from ipaddress import ip_address, ip_network

from dolium import errors
from dolium.agent.plugin.ledger import Endpoint, Held, Ledger
from dolium.agent.plugin.words import Interface
from dolium.model.network import FixedIp, Network, Port, Subnet


class Local:
    """Hands out the host's own range of each subnet."""

    def __init__(self, ledger: Ledger, project: str) -> None:
        """project: whose networks may be used at the command line; empty: nobody's."""
        self._ledger = ledger
        self._project = project
        self._last: dict[str, int] = {}
        """The address handed out last, by subnet: the next one is higher."""
        self._lock = threading.Lock()

    def admit(self, network: Network) -> None:
        """Raises Refused when the command line may not use the network."""
        if not self._project:
            raise errors.Refused(
                why="This host offers no network to the command line; an operator can set "
                "[network] command_line_project"
            )
        if network.project_id != self._project:
            raise errors.Refused(why=f"Network {network.uuid} is another project's")

    def grant(self, network: Network, subnet: Subnet, address: str = "") -> str:
        """Hold a free address, or the one asked for, until an endpoint has it."""
        with self._lock:
            address = self._checked(network, subnet, address)
            self.admit(network)
            address = address or self._free(network, subnet)
            self._ledger.hold(network.uuid, address, Held())
            return address

    def release(self, network_uuid: str, address: str) -> None:
        """No endpoint came of it."""
        with self._ledger.together():
            if self._ledger.holder(network_uuid, address) == Held():
                self._ledger.let(network_uuid, address)

    def endpoint(self, network: Network, docker_id: str, asked: Interface) -> Endpoint:
        """The endpoint of somebody's container, on addresses that were granted."""
        self.admit(network)
        fixed = [
            _fixed(subnet, self._checked(network, subnet, address))
            for address in asked.addresses
            for subnet in network.subnets
            if subnet.version == ip_address(address).version
        ]
        if not fixed:
            raise errors.Refused(why=f"Network {network.uuid} has no such address")
        port_id = uuid.uuid5(uuid.UUID(network.uuid), docker_id)
        mac = ":".join(f"{octet:02x}" for octet in (2, *port_id.bytes[:5]))
        port = Port(
            uuid=str(port_id),
            network_uuid=network.uuid,
            container_uuid="",
            mac=asked.mac or mac,
            fixed_ips=tuple(fixed),
        )
        return Endpoint(network_uuid=network.uuid, port=port)

    def _checked(self, network: Network, subnet: Subnet, address: str) -> str:
        if not address:
            return ""
        first, last = _range(subnet)
        if not first <= int(ip_address(address)) <= last:
            raise errors.Refused(
                why=f"Address {address} is not one of {subnet.cidr} for the command line"
            )
        if (self._ledger.holder(network.uuid, address) or Held()) != Held():
            raise errors.Refused(why=f"Address {address} is in use")
        return address

    def _free(self, network: Network, subnet: Subnet) -> str:
        """The next free one after the last, so that what was given back rests a while."""
        first, last = _range(subnet)
        count = last - first + 1
        start = self._last.get(subnet.uuid, first - 1) - first + 1
        # Each address held is one step at most, so this ends after few even in a wide range.
        for step in range(min(count, 1 << 16)):
            number = first + (start + step) % count
            address = str(type(ip_network(subnet.cidr)[0])(number))
            if self._ledger.holder(network.uuid, address) is None:
                self._last[subnet.uuid] = number
                return address
        raise errors.Full(what=f"Subnet {subnet.cidr}", why="its range for hosts is used up")


def _range(subnet: Subnet) -> tuple[int, int]:
    if subnet.local is None:
        raise errors.Refused(why=f"Subnet {subnet.cidr} keeps no addresses for the command line")
    return int(ip_address(subnet.local[0])), int(ip_address(subnet.local[1]))


def _fixed(subnet: Subnet, address: str) -> FixedIp:
    return FixedIp(
        subnet_id=subnet.uuid,
        version=subnet.version,
        address=address,
        prefix=ip_network(subnet.cidr).prefixlen,
    )
