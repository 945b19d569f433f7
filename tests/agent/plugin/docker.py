"""Docker's half of the plugin protocol, in the order in which 20.10 to 28 call.

Hooked into the fake engine (`engine.plug = docker.start`, `engine.unplug = docker.stop`) it makes
starts and exits go through the plugin, as they do in a real engine.
"""

import json
from itertools import count
from typing import Any

from dolium import errors
from dolium.agent.plugin.plugin import Plugin
from dolium.drivers.engine.base import Plug
from dolium.model.network import Network


class Docker:
    """Calls a plugin; networks and endpoints as Docker would remember them."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.networks: dict[str, str] = {}
        """Our uuid -> Docker's id."""
        self.endpoints: dict[str, tuple[str, Plug]] = {}
        """Port uuid -> (Docker's id, plug)."""
        self._numbers = count(1)

    def call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call; an error of the plugin fails what Docker was about to do."""
        status, body = self.plugin.answer(method, json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(body)
        if status != 200 or answer.get("Err"):
            raise errors.Refused(why=str(answer.get("Err")))
        return answer

    def create_network(self, network: Network) -> None:
        """`docker network create`, as the engine driver does it."""
        options = {"dolium.network": network.uuid}
        pools: dict[int, list[dict[str, str]]] = {4: [], 6: []}
        for subnet in network.subnets:
            pool = self.call(
                "IpamDriver.RequestPool",
                {"Pool": subnet.cidr, "Options": options, "V6": subnet.version == 6},
            )
            self.call(
                "IpamDriver.RequestAddress",
                {
                    "PoolID": pool["PoolID"],
                    "Address": subnet.gateway,
                    "Options": {"RequestAddressType": "com.docker.network.gateway"},
                },
            )
            pools[subnet.version].append({"Pool": pool["Pool"]})
        docker_id = f"{next(self._numbers):064x}"
        self.call(
            "NetworkDriver.CreateNetwork",
            {
                "NetworkID": docker_id,
                "Options": {"com.docker.network.generic": options},
                "IPv4Data": pools[4],
                "IPv6Data": pools[6],
            },
        )
        self.networks[network.uuid] = docker_id

    def start(self, plug: Plug) -> None:
        """A container with this port starts; what fails is rolled back as Docker does it."""
        if plug.network.uuid not in self.networks:
            self.create_network(plug.network)
        network, endpoint = self.networks[plug.network.uuid], f"{next(self._numbers):064x}"
        interface = {"Address": "", "AddressIPv6": "", "MacAddress": ""}
        for ip in plug.port.fixed_ips:
            pool = f"{plug.network.uuid}/{ip.version}"
            request = {"PoolID": pool, "Address": ip.address, "Options": None}
            granted = self.call("IpamDriver.RequestAddress", request)["Address"]
            interface["Address" if ip.version == 4 else "AddressIPv6"] = granted
        both = {"NetworkID": network, "EndpointID": endpoint}
        options = {"dolium.token": plug.token, "dolium.port": plug.port.uuid}
        try:
            self.call(
                "NetworkDriver.CreateEndpoint",
                {**both, "Interface": interface, "Options": options},
            )
        except errors.Refused:
            self._release(plug)
            raise
        self.endpoints[plug.port.uuid] = endpoint, plug
        try:
            self.call("NetworkDriver.Join", {**both, "SandboxKey": "/ns", "Options": {}})
        except errors.Refused:
            self._delete(plug)
            raise
        self.call("NetworkDriver.EndpointOperInfo", both)

    def stop(self, plug: Plug) -> None:
        """The container ended."""
        if plug.port.uuid in self.endpoints:
            endpoint, _ = self.endpoints[plug.port.uuid]
            network = self.networks[plug.network.uuid]
            self.call("NetworkDriver.Leave", {"NetworkID": network, "EndpointID": endpoint})
            self._delete(plug)

    def _delete(self, plug: Plug) -> None:
        endpoint, _ = self.endpoints.pop(plug.port.uuid)
        network = self.networks[plug.network.uuid]
        self.call("NetworkDriver.DeleteEndpoint", {"NetworkID": network, "EndpointID": endpoint})
        self._release(plug)

    def _release(self, plug: Plug) -> None:
        for ip in plug.port.fixed_ips:
            pool = f"{plug.network.uuid}/{ip.version}"
            self.call("IpamDriver.ReleaseAddress", {"PoolID": pool, "Address": ip.address})
