"""Networks, subnets and ports, in Neutron's words."""

from __future__ import annotations

from msgspec import Struct


class Subnet(Struct, frozen=True, kw_only=True):
    """One range of addresses of a network."""

    uuid: str
    version: int
    """4 or 6."""
    cidr: str
    gateway: str
    local: tuple[str, str] | None = None
    """First and last address the host itself hands out to command-line users of its engine;
    the control side never takes one from here, so neither has to ask the other."""


class Network(Struct, frozen=True, kw_only=True):
    """A layer-2 network of one project."""

    uuid: str
    project_id: str
    name: str
    driver: str
    """Name of the network driver that made it, which is also its binder's."""
    subnets: tuple[Subnet, ...]
    mtu: int = 1500


class FixedIp(Struct, frozen=True, kw_only=True, gc=False):
    """One address of a port."""

    subnet_id: str
    version: int
    address: str
    prefix: int
    """Length of the subnet's prefix."""


class Port(Struct, frozen=True, kw_only=True, gc=False):
    """One container's place on a network, made before the container starts."""

    uuid: str
    network_uuid: str
    container_uuid: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]
    preserve: bool = False
    """True for a port the user made: it is given back, never deleted."""
    epoch: int = 0
    """The host epoch of the claim; what is written outside carries it."""
    attached: bool = True
    """False while the container is not to be plugged in there; it keeps the port."""


class Address(Struct, frozen=True, gc=False):
    """One entry of the `addresses` field of the container API, with the API's keys."""

    addr: str
    version: int
    port: str
    subnet_id: str
    preserve_on_delete: bool


def addresses(ports: tuple[Port, ...]) -> dict[str, list[Address]]:
    """The `addresses` field of the container API: network id -> its addresses."""
    shown: dict[str, list[Address]] = {}
    for port in ports:
        of_network = shown.setdefault(port.network_uuid, [])
        for ip in port.fixed_ips:
            of_network.append(
                Address(ip.address, ip.version, port.uuid, ip.subnet_id, port.preserve)
            )
    return shown
