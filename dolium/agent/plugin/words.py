"""Docker's words: the bodies of its calls to network and IPAM plugins.

Optional and unknown fields are the rule, because every version of Docker sends other ones.
"""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

from msgspec import Struct, field

GATEWAY = "com.docker.network.gateway"
GENERIC = "com.docker.network.generic"
PORTMAP = "com.docker.network.portmap"
ADDRESS_TYPE = "RequestAddressType"

NETWORK = "dolium.network"
"""Our option on `docker network create -o` and `--ipam-opt`: the network's uuid."""
TOKEN = "dolium.token"  # noqa: S105  the name of the option, not a token
"""Our option on an endpoint: the single-use token of a reserved port."""


class PoolCall(Struct, frozen=True):
    """IpamDriver.RequestPool and ReleasePool."""

    pool: str = field(name="Pool", default="")
    pool_id: str = field(name="PoolID", default="")
    sub_pool: str = field(name="SubPool", default="")
    options: dict[str, str] | None = field(name="Options", default=None)
    v6: bool = field(name="V6", default=False)


class AddressCall(Struct, frozen=True):
    """IpamDriver.RequestAddress and ReleaseAddress."""

    pool_id: str = field(name="PoolID", default="")
    address: str = field(name="Address", default="")
    options: dict[str, str] | None = field(name="Options", default=None)


class Interface(Struct, frozen=True):
    """What Docker has chosen of an endpoint's interface."""

    address: str = field(name="Address", default="")
    address_v6: str = field(name="AddressIPv6", default="")
    mac: str = field(name="MacAddress", default="")

    @property
    def addresses(self) -> list[str]:
        """As we write them, without the lengths of their prefixes."""
        return [str(ip_interface(each).ip) for each in (self.address, self.address_v6) if each]


class IpamData(Struct, frozen=True):
    """One subnet of a network in NetworkDriver.CreateNetwork."""

    pool: str = field(name="Pool", default="")


class NetworkCall(Struct, frozen=True):
    """Every call of NetworkDriver."""

    network_id: str = field(name="NetworkID", default="")
    endpoint_id: str = field(name="EndpointID", default="")
    options: dict[str, Any] | None = field(name="Options", default=None)
    interface: Interface | None = field(name="Interface", default=None)
    ipv4: list[IpamData] | None = field(name="IPv4Data", default=None)
    ipv6: list[IpamData] | None = field(name="IPv6Data", default=None)

    @property
    def generic(self) -> dict[str, Any]:
        """What was given by -o at the network's creation."""
        return (self.options or {}).get(GENERIC) or {}
