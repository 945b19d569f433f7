"""Networks of ours in a Docker Engine, and containers on them."""

from __future__ import annotations

import threading

from dolium import errors
from dolium.drivers.engine import docker_answers as answers
from dolium.drivers.engine import docker_bodies as bodies
from dolium.drivers.engine.base import Plug
from dolium.drivers.engine.docker_socket import Client
from dolium.model.network import Network

MAKE_S = 180.0
"""Longest making of a network: plugins and busy disks take their time."""
NONE = "none"
"""Docker's network for containers without any. It has to be joined by who leaves the last one:
otherwise the next start would join the network that the container was created with."""


class Networks:
    """The networks of one engine."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._wiring = threading.Lock()

    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """A network that another plugin of ours made earlier is made anew."""
        with self._wiring:
            found = self._network(network.uuid)
            if found is not None and found.driver == plugin:
                return
            if found is not None:
                self.unwire(network.uuid)
            body = bodies.network(network, plugin, deployment)
            self._client.raw("POST", "/networks/create", body=body, timeout_s=MAKE_S)

    def unwire(self, network_uuid: str) -> None:
        """Absent is fine."""
        name = bodies.network_name(network_uuid)
        try:
            self._client.raw("DELETE", f"/networks/{name}", timeout_s=MAKE_S)
        except errors.Absent:
            pass

    def wired(self, deployment: str) -> list[str]:
        """Ids of those that bear the deployment's mark."""
        filters = bodies.filters(label=[f"{bodies.DEPLOYMENT}={deployment}"])
        found = self._client.ask(
            "GET", "/networks", list[answers.InspectedNetwork], query={"filters": filters}
        )
        return [entry.labels[bodies.NETWORK] for entry in found if entry.labels]

    def join(self, handle: str, plug: Plug) -> None:
        """Connect a container to a network that it is not on."""
        body = {"Container": handle, "EndpointConfig": bodies.endpoint(plug)}
        self._client.raw("POST", f"/networks/{_name(plug.network.uuid)}/connect", body=body)

    def connect(self, handle: str, plug: Plug) -> None:
        """The same of one that may be on it, or on none; raises Unwired."""
        joined = self._joined(handle)
        if _name(plug.network.uuid) in joined:
            return
        if self._network(plug.network.uuid) is None:
            raise errors.Unwired(why=f"Network {plug.network.uuid} could not be found")
        if NONE in joined:
            self._leave(handle, NONE)
        self.join(handle, plug)

    def disconnect(self, handle: str, network_uuid: str) -> None:
        """Not on it is fine."""
        joined, name = self._joined(handle), _name(network_uuid)
        if name in joined:
            self._leave(handle, name)
        if not joined - {name}:
            body = {"Container": handle}
            self._client.raw("POST", f"/networks/{NONE}/connect", body=body)

    def _leave(self, handle: str, name: str) -> None:
        body = {"Container": handle}
        self._client.raw("POST", f"/networks/{name}/disconnect", body=body, timeout_s=MAKE_S)

    def _joined(self, handle: str) -> set[str]:
        found = self._client.ask("GET", f"/containers/{handle}/json", answers.Inspected)
        return set(found.network_settings.networks or ())

    def _network(self, uuid: str) -> answers.InspectedNetwork | None:
        try:
            return self._client.ask("GET", f"/networks/{_name(uuid)}", answers.InspectedNetwork)
        except errors.Absent:
            return None


_name = bodies.network_name
