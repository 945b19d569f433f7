"""Docker's network calls: an endpoint of a reserved port, plugged and unplugged."""

from __future__ import annotations

import logging
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from typing import Any

from dolium import errors
from dolium.agent.plugin.ledger import Endpoint, Ledger, Reserved, digest
from dolium.agent.plugin.local import Local
from dolium.agent.plugin.pairs import Pairs
from dolium.agent.plugin.words import NETWORK, PORTMAP, TOKEN, Interface, NetworkCall
from dolium.model.network import Network

LOG = logging.getLogger(__name__)


class Networks:
    """NetworkDriver. Ends are always accepted: Docker asks only once, and asks nobody else."""

    def __init__(self, ledger: Ledger, pairs: Pairs, local: Local) -> None:
        self._ledger = ledger
        self._pairs = pairs
        self._local = local

    def capabilities(self) -> dict[str, Any]:
        """Once per life of dockerd. Global scope is refused to socket plugins in a swarm."""
        return {"Scope": "local", "ConnectivityScope": "global", "GwAllocChecker": True}

    def check_gateway(self, call: NetworkCall) -> dict[str, Any]:
        """Before a network, from 28 on: no gateway address where the subnet has none."""
        wired = self._ledger.network(call.generic.get(NETWORK, ""))
        subnets = wired.network.subnets if wired else ()
        has = {subnet.version for subnet in subnets if subnet.gateway}
        return {"SkipIPv4": 4 not in has, "SkipIPv6": 6 not in has}

    def create(self, call: NetworkCall) -> dict[str, Any]:
        """Docker has a network of ours; ours was there before."""
        pools = {data.pool for data in (*(call.ipv4 or ()), *(call.ipv6 or ()))}
        wired = self._ledger.network(call.generic.get(NETWORK, ""))
        if wired is None:
            raise errors.Refused(why=f"Name a network of this host by -o {NETWORK}=<uuid>")
        strange = pools - {subnet.cidr for subnet in wired.network.subnets}
        if strange:
            raise errors.Refused(why=f"Network {wired.network.uuid} has no subnet {strange.pop()}")
        self._ledger.name(call.network_id, wired.network.uuid)
        return {}

    def delete(self, call: NetworkCall) -> dict[str, Any]:
        """Docker forgot the network; the bridge goes when no wish needs it."""
        self._ledger.unname(call.network_id)
        return {}

    def create_endpoint(self, call: NetworkCall) -> dict[str, Any]:
        """A container starts: its port becomes an endpoint, once for each time it was armed."""
        asked = call.interface or Interface()
        token = (call.options or {}).get(TOKEN)
        with self._ledger.together():
            endpoint = self._ledger.endpoint(call.endpoint_id)
            if endpoint is None:
                candidates = self._candidates(call.network_id, asked)
                if isinstance(token, str):
                    endpoint = self._claim(candidates, asked, token)
                else:
                    only = _only(candidates, asked)
                    endpoint = self._local.endpoint(only, call.endpoint_id, asked)
                if asked.mac.lower() not in ("", endpoint.port.mac.lower()):
                    why = f"The port's MAC is {endpoint.port.mac}, not {asked.mac}"
                    raise errors.Refused(why=why)
                self._ledger.connect(call.endpoint_id, endpoint)
        return {"Interface": {} if asked.mac else {"MacAddress": endpoint.port.mac}}

    def describe(self, call: NetworkCall) -> dict[str, Any]:
        """EndpointOperInfo: for people who inspect."""
        endpoint = self._ledger.endpoint(call.endpoint_id)
        return {"Value": {"dolium.port": endpoint.port.uuid} if endpoint else {}}

    def join(self, call: NetworkCall) -> dict[str, Any]:
        """The endpoint's interface is to be moved into the container."""
        endpoint = self._ledger.endpoint(call.endpoint_id)
        wired = self._ledger.network(endpoint.network_uuid) if endpoint else None
        if endpoint is None or wired is None:
            raise errors.Absent(what=f"Endpoint {call.endpoint_id[:12]}")
        versions = {ip.version for ip in endpoint.port.fixed_ips}
        gateways = {
            subnet.version: subnet.gateway
            for subnet in wired.network.subnets
            if subnet.version in versions
        }
        return {
            "InterfaceName": {"SrcName": self._pairs.make(endpoint), "DstPrefix": "eth"},
            "Gateway": gateways.get(4, ""),
            "GatewayIPv6": gateways.get(6, ""),
            "StaticRoutes": [],
            # Without it Docker adds an interface on a bridge of its own where there is no gateway.
            "DisableGatewayService": True,
        }

    def leave(self, call: NetworkCall) -> dict[str, Any]:
        """The container ended: unplug before Docker moves the interface back to the host."""
        endpoint = self._ledger.current(call.endpoint_id)
        if endpoint is not None:
            self._pairs.unmake(endpoint.port.uuid)
        return {}

    def delete_endpoint(self, call: NetworkCall) -> dict[str, Any]:
        """Also the only call after a Join that failed."""
        port_uuid = self._ledger.disconnect(call.endpoint_id)
        if port_uuid is not None:
            self._pairs.pay(port_uuid)
        return {}

    def expose(self, call: NetworkCall) -> dict[str, Any]:
        """ProgramExternalConnectivity: containers are reached by their own addresses."""
        if (call.options or {}).get(PORTMAP):
            LOG.warning(
                "endpoint %s: published ports are not forwarded; use the container's address",
                call.endpoint_id[:12],
            )
        return {}

    def accept(self, call: NetworkCall) -> dict[str, Any]:
        """What needs no work: revoking, discovery."""
        return {}

    def _candidates(self, docker_id: str, asked: Interface) -> list[Network]:
        """Our network behind Docker's; after a lost journal, those it may be."""
        named = self._ledger.named(docker_id)
        if named is not None:
            return [named.network]
        networks = [wired.network for wired in self._ledger.networks().values()]
        return [each for each in networks if _contains(each, asked.addresses)]

    def _claim(self, candidates: list[Network], asked: Interface, token: str) -> Endpoint:
        """The reserved port with the asked addresses and this token."""
        wanted = digest(token)
        for network in candidates:
            for container, reserved in self._holders(network, asked):
                if not any(compare_digest(wanted, known) for known in reserved.tokens):
                    continue
                for port in reserved.ports:
                    own = {ip.address for ip in port.fixed_ips}
                    if port.network_uuid != network.uuid or not own >= set(asked.addresses):
                        continue
                    if port.uuid not in reserved.armed:
                        raise errors.Refused(
                            why=f"Port {port.uuid} is not to be plugged now: a container of the "
                            "container API is started through that API"
                        )
                    return Endpoint(network_uuid=network.uuid, port=port, container=container)
        raise errors.Refused(why="This token is good for no port with these addresses")

    def _holders(self, network: Network, asked: Interface) -> list[tuple[str, Reserved]]:
        held = [self._ledger.holder(network.uuid, address) for address in asked.addresses]
        containers = {each.container for each in held if each is not None and each.container}
        found = ((container, self._ledger.reserved(container)) for container in sorted(containers))
        return [(container, reserved) for container, reserved in found if reserved is not None]


def _contains(network: Network, addresses: list[str]) -> bool:
    ranges = [ip_network(subnet.cidr) for subnet in network.subnets]
    return bool(addresses) and all(
        any(ip_address(address) in piece for piece in ranges) for address in addresses
    )


def _only(candidates: list[Network], asked: Interface) -> Network:
    if len(candidates) != 1:
        raise errors.Refused(why=f"No network of this host is known for {asked.addresses}")
    return candidates[0]
