"""The network driver of one machine without OpenStack: ranges out of a pool, addresses by sums.

Nothing is made outside: ids, MACs and addresses follow from what they are for, and the host's
binder makes bridges when it needs them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Container, Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from math import gcd
from typing import ClassVar

from msgspec import Struct

from dolium import errors
from dolium.drivers.network import base
from dolium.model.network import FixedIp, Network, Port, Subnet

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network

NAMESPACE = uuid.UUID("6f9b1f52-3f7c-5d0e-9d43-0d011d011d01")
"""Ids of this driver are uuid5 of it; never changes."""
PREFIX = {4: 24, 6: 64}


class BridgeOptions(Struct, frozen=True, kw_only=True):
    """Where networks are cut from."""

    pool_v4: str = "10.224.0.0/12"
    """A /24 of it for each project."""
    pool_v6: str = ""
    """A /64 of it for each project (a unique local /48); empty: networks without IPv6."""
    mtu: int = 1500


class Bridge(base.Driver):
    """One network per project; the host's binder of the same name bridges it."""

    name: ClassVar[str] = "bridge"
    instant: ClassVar[bool] = True
    Options = BridgeOptions

    def __init__(self, options: BridgeOptions | None = None) -> None:
        self.options = options or BridgeOptions()
        pools = (self.options.pool_v4, self.options.pool_v6)
        try:
            self._pools = [ip_network(pool) for pool in pools if pool]
        except ValueError as error:
            raise errors.StartError(why=f"[network] pool_v4 or pool_v6: {error}") from None
        for pool in self._pools:
            if pool.prefixlen > PREFIX[pool.version]:
                raise errors.StartError(why=f"[network] pool {pool} is too small")

    def network(self, project_id: str, taken: Collection[str]) -> Network:
        """See base."""
        network_id = str(uuid.uuid5(NAMESPACE, f"network/{project_id}"))
        used = frozenset(taken)
        subnets = tuple(_subnet(network_id, _cut(pool, used)) for pool in self._pools)
        return Network(
            uuid=network_id,
            project_id=project_id,
            name="default",
            driver=self.name,
            subnets=subnets,
            mtu=self.options.mtu,
        )

    def port(
        self,
        network: Network,
        container_uuid: str,
        taken: Container[str],
        wanted: Collection[str] = (),
    ) -> Port:
        """See base."""
        port_id = uuid.uuid5(uuid.UUID(network.uuid), container_uuid)
        asked = _by_version(wanted)
        fixed = []
        for subnet in network.subnets:
            own = asked.pop(subnet.version, None)
            address = _ask(subnet, own, taken) if own else _choose(subnet, port_id.int, taken)
            fixed.append(
                FixedIp(
                    subnet_id=subnet.uuid,
                    version=subnet.version,
                    address=str(address),
                    prefix=ip_network(subnet.cidr).prefixlen,
                )
            )
        for left in asked.values():
            raise errors.Refused(why=f"Network {network.name} has no subnet for address {left}")
        return Port(
            uuid=str(port_id),
            network_uuid=network.uuid,
            container_uuid=container_uuid,
            mac=mac(port_id),
            fixed_ips=tuple(fixed),
        )

    def drop_port(self, port: Port) -> None:
        """See base; there is nothing outside."""

    def drop_network(self, network: Network) -> None:
        """See base; there is nothing outside."""


def mac(port_id: uuid.UUID) -> str:
    """A port's MAC: locally administered (02:...), the rest out of the port's id."""
    return ":".join(f"{octet:02x}" for octet in (2, *port_id.bytes[:5]))


def _cut(pool: Range, used: Container[str]) -> Range:
    """The first piece of the pool that nobody has."""
    for piece in pool.subnets(new_prefix=PREFIX[pool.version]):
        if str(piece) not in used:
            return piece
    raise errors.Full(what=f"Address pool {pool}", why="every range of it is a network's")


def _subnet(network_id: str, piece: Range) -> Subnet:
    """Gateway at its beginning; the upper quarter is handed out by hosts to their own users."""
    quarter = piece.num_addresses // 4
    last = piece[-2] if piece.version == 4 else piece[-1]
    return Subnet(
        uuid=str(uuid.uuid5(uuid.UUID(network_id), f"subnet/{piece.version}")),
        version=piece.version,
        cidr=str(piece),
        gateway=str(piece[1]),
        local=(str(piece[3 * quarter]), str(last)),
    )


def _by_version(wanted: Collection[str]) -> dict[int, Address]:
    found: dict[int, Address] = {}
    for text in wanted:
        try:
            address = ip_address(text)
        except ValueError:
            raise errors.Refused(why=f"'{text}' is not an IP address") from None
        if address.version in found:
            raise errors.Refused(why=f"More than one IPv{address.version} address for a port")
        found[address.version] = address
    return found


@lru_cache(maxsize=1024)
def _bounds(subnet: Subnet) -> tuple[int, int]:
    """The first of our addresses as a number, and how many there are."""
    piece = ip_network(subnet.cidr)
    first = int(piece[1])
    end = int(ip_address(subnet.local[0])) if subnet.local else int(piece[-1])
    return first, end - first


def _ask(subnet: Subnet, address: Address, used: Container[str]) -> Address:
    first, count = _bounds(subnet)
    if not 0 <= int(address) - first < count or str(address) == subnet.gateway:
        raise errors.Refused(why=f"Address {address} is not one of subnet {subnet.cidr} for ports")
    if str(address) in used:
        raise errors.Refused(why=f"Address {address} is in use")
    return address


def _choose(subnet: Subnet, seed: int, used: Container[str]) -> Address:
    """A free address, tried from a place and in a stride that follow from the port's id.

    So a retry gets the same, two containers hardly ever try the same first, and what was just
    given back waits its turn among all free ones. Every address is tried before giving up.
    """
    first, count = _bounds(subnet)
    kind = IPv4Address if subnet.version == 4 else IPv6Address
    for step in _walk(count, seed):
        text = str(kind(first + step))
        if text not in used and text != subnet.gateway:
            return kind(first + step)
    raise errors.Full(what=f"Subnet {subnet.cidr}", why="every address of it is in use")


def _walk(count: int, seed: int) -> Iterator[int]:
    """Every number below count, once."""
    stride = seed // count % count or 1
    while gcd(stride, count) != 1:
        stride += 1
    for step in range(count):
        yield (seed + step * stride) % count
