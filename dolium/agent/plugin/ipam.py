"""Docker's IPAM calls: nothing is chosen here, what was reserved is granted."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from dolium import errors
from dolium.agent.plugin.ledger import Ledger
from dolium.agent.plugin.local import Local
from dolium.agent.plugin.words import ADDRESS_TYPE, GATEWAY, NETWORK, AddressCall, PoolCall
from dolium.model.network import Network, Subnet


class Ipam:
    """IpamDriver. A pool's id is `network uuid/IP version`: all that ties an address to us."""

    def __init__(self, ledger: Ledger, local: Local) -> None:
        self._ledger = ledger
        self._local = local

    def capabilities(self) -> dict[str, Any]:
        """Once per life of dockerd: MACs are ours to choose, and we forget nothing."""
        return {"RequiresMACAddress": False, "RequiresRequestReplay": False}

    def spaces(self) -> dict[str, Any]:
        """Names that nothing depends on, but which Docker wants."""
        return {"LocalDefaultAddressSpace": "dolium", "GlobalDefaultAddressSpace": "dolium"}

    def request_pool(self, call: PoolCall) -> dict[str, Any]:
        """Before a network: one of our subnets, with its gateway."""
        uuid = (call.options or {}).get(NETWORK, "")
        if not uuid:
            raise errors.Refused(
                why=f"Networks are made by Dolium; name one by --ipam-opt {NETWORK}=<uuid>"
            )
        network, subnet = self._subnet(f"{uuid}/{6 if call.v6 else 4}")
        if call.pool and ip_network(call.pool, strict=False) != ip_network(subnet.cidr):
            raise errors.Refused(why=f"The subnet of network {uuid} is {subnet.cidr}")
        data = {GATEWAY: _with_prefix(subnet, subnet.gateway)} if subnet.gateway else {}
        return {"PoolID": f"{network.uuid}/{subnet.version}", "Pool": subnet.cidr, "Data": data}

    def release_pool(self, call: PoolCall) -> dict[str, Any]:
        """Pools are not counted."""
        return {}

    def request_address(self, call: AddressCall) -> dict[str, Any]:
        """The gateway's, a reserved port's, or one of the command line's."""
        network, subnet = self._subnet(call.pool_id)
        if (call.options or {}).get(ADDRESS_TYPE) == GATEWAY:
            if call.address not in ("", subnet.gateway):
                raise errors.Refused(why=f"The gateway of {subnet.cidr} is {subnet.gateway}")
            return {"Address": _with_prefix(subnet, subnet.gateway), "Data": {}}
        held = self._ledger.holder(network.uuid, call.address) if call.address else None
        if held is not None and held.container:
            return {"Address": _with_prefix(subnet, call.address), "Data": {}}
        address = self._local.grant(network, subnet, call.address)
        return {"Address": _with_prefix(subnet, address), "Data": {}}

    def release_address(self, call: AddressCall) -> dict[str, Any]:
        """After an endpoint, or instead of it; a reserved port keeps its address."""
        self._local.release(call.pool_id.partition("/")[0], call.address)
        return {}

    def _subnet(self, pool_id: str) -> tuple[Network, Subnet]:
        uuid, _, version = pool_id.partition("/")
        wired = self._ledger.network(uuid)
        if wired is None:
            raise errors.Refused(why=f"Network '{uuid}' is not known on this host")
        for subnet in wired.network.subnets:
            if str(subnet.version) == version:
                return wired.network, subnet
        raise errors.Refused(why=f"Network {uuid} has no IPv{version}")


def _with_prefix(subnet: Subnet, address: str) -> str:
    return f"{address}/{ip_network(subnet.cidr).prefixlen}"
