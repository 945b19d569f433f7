"""What this host has promised Docker, in the journal: networks, ports, addresses, endpoints.

The journal is the only state, so that whoever comes back after a crash knows all that was
promised. Looking up is by key; nothing here asks anybody else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, structs

from dolium.agent.journal import Journal
from dolium.model.network import Network, Port

REMEMBERED_TOKENS = 8
"""A container that was made before a crash keeps the token of its time; more tries than this
between two looks at the engine do not happen."""


class Wired(Struct, frozen=True, kw_only=True):
    """A network this host knows; kind `network`, by its uuid."""

    network: Network
    engine: bool = False
    """True when the engine knows it too."""


class Reserved(Struct, frozen=True, kw_only=True):
    """The ports of one container; kind `port`, by the container's uuid."""

    ports: tuple[Port, ...]
    tokens: tuple[str, ...] = ()
    """SHA-256 of the tokens that were handed out, hexadecimal, newest last."""
    armed: tuple[str, ...] = ()
    """Ports that may become an endpoint, once."""
    live: dict[str, str] = {}
    """Port -> Docker's id of the endpoint it is now."""


class Held(Struct, frozen=True, kw_only=True):
    """Who has an address; kind `address`, by network uuid/address."""

    container: str = ""
    """Empty: somebody at the command line."""
    endpoint: str = ""
    """At the command line: empty until Docker made the endpoint."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """One of Docker's endpoints; kind `endpoint`, by Docker's id."""

    network_uuid: str
    port: Port
    container: str = ""
    """Empty: somebody at the command line."""


class Named(Struct, frozen=True, kw_only=True):
    """One of Docker's networks; kind `docker`, by Docker's id."""

    network_uuid: str


class Chore(Struct, frozen=True, kw_only=True):
    """A port that is to be unmade until it is; kind `chore`, by the port's uuid."""

    port_uuid: str


def digest(token: str) -> str:
    """What the journal keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Ledger:
    """The journal in the words of networks. Safe to use from many threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @contextmanager
    def together(self) -> Iterator[None]:
        """Several changes, all or none."""
        with self._journal.together():
            yield

    # --- networks ----------------------------------------------------------------------------

    def network(self, uuid: str) -> Wired | None:
        """One network."""
        return self._journal.get("network", uuid, Wired)

    def networks(self) -> dict[str, Wired]:
        """All of them."""
        return self._journal.all("network", Wired)

    def keep(self, network: Network, *, engine: bool) -> None:
        """Write down a network and whether the engine knows it."""
        self._journal.put("network", network.uuid, Wired(network=network, engine=engine))

    def forget(self, uuid: str) -> None:
        """The network is gone from this host."""
        with self.together():
            self._journal.drop("network", uuid)
            for docker_id, named in self._journal.all("docker", Named).items():
                if named.network_uuid == uuid:
                    self._journal.drop("docker", docker_id)

    def name(self, docker_id: str, uuid: str) -> None:
        """Docker calls our network so."""
        self._journal.put("docker", docker_id, Named(network_uuid=uuid))

    def named(self, docker_id: str) -> Wired | None:
        """Our network behind one of Docker's."""
        found = self._journal.get("docker", docker_id, Named)
        return self.network(found.network_uuid) if found else None

    def unname(self, docker_id: str) -> None:
        """Docker forgot its network; ours stays until nobody needs it."""
        with self.together():
            wired = self.named(docker_id)
            if wired is not None and self._journal.drop("docker", docker_id):
                self.keep(wired.network, engine=False)

    # --- ports of containers -------------------------------------------------------------------

    def reserved(self, container: str) -> Reserved | None:
        """The ports of one container."""
        return self._journal.get("port", container, Reserved)

    def reservations(self) -> dict[str, Reserved]:
        """All of them."""
        return self._journal.all("port", Reserved)

    def reserve(self, container: str, ports: tuple[Port, ...], digest: str) -> tuple[str, ...]:
        """Promise ports to a container, in addition to the tokens it has already. What may be left
        of those that it had before becomes chores: their uuids.
        """
        with self.together():
            before = self.reserved(container) or Reserved(ports=())
            tokens = (*before.tokens, digest)[-REMEMBERED_TOKENS:]
            if before.ports != ports:
                self._let(before.ports, container)
            kept, live = {port.uuid for port in ports}, dict(before.live)
            gone = tuple(port.uuid for port in before.ports if port.uuid not in kept)
            for uuid in gone:
                # Whoever was killed meanwhile has not heard that it is no endpoint any more.
                self._journal.drop("endpoint", live.pop(uuid, ""))
                self.owe(uuid)
            after = structs.replace(before, ports=ports, tokens=tokens, armed=(), live=live)
            self._journal.put("port", container, after)
            for port in ports:
                for ip in port.fixed_ips:
                    self.hold(port.network_uuid, ip.address, Held(container=container))
            return gone

    def arm(self, container: str) -> None:
        """Let each port of the container become an endpoint, once."""
        with self.together():
            found = self.reserved(container)
            if found is not None:
                armed = tuple(port.uuid for port in found.ports)
                self._journal.put("port", container, structs.replace(found, armed=armed))

    def resign(self, container: str) -> tuple[str, ...]:
        """Take the promise back; what may be left of the ports becomes chores: their uuids."""
        with self.together():
            found = self.reserved(container)
            if found is None:
                return ()
            self._let(found.ports, container)
            self._journal.drop("port", container)
            for docker_id in found.live.values():
                self._journal.drop("endpoint", docker_id)
            for port in found.ports:
                self.owe(port.uuid)
            return tuple(port.uuid for port in found.ports)

    def _let(self, ports: tuple[Port, ...], container: str) -> None:
        for port in ports:
            for ip in port.fixed_ips:
                held = self.holder(port.network_uuid, ip.address)
                if held is not None and held.container == container:
                    self.let(port.network_uuid, ip.address)

    # --- addresses ---------------------------------------------------------------------------

    def holder(self, network_uuid: str, address: str) -> Held | None:
        """Who has the address."""
        return self._journal.get("address", f"{network_uuid}/{address}", Held)

    def addresses(self) -> dict[tuple[str, str], Held]:
        """All of them, by (network uuid, address)."""
        held = self._journal.all("address", Held)
        return {(key[:36], key[37:]): holder for key, holder in held.items()}

    def hold(self, network_uuid: str, address: str, held: Held) -> None:
        """Write down who has the address."""
        self._journal.put("address", f"{network_uuid}/{address}", held)

    def let(self, network_uuid: str, address: str) -> None:
        """The address is free."""
        self._journal.drop("address", f"{network_uuid}/{address}")

    # --- endpoints -----------------------------------------------------------------------------

    def endpoint(self, docker_id: str) -> Endpoint | None:
        """One endpoint."""
        return self._journal.get("endpoint", docker_id, Endpoint)

    def current(self, docker_id: str) -> Endpoint | None:
        """One endpoint, unless its port is another endpoint by now."""
        found = self.endpoint(docker_id)
        reserved = self.reserved(found.container) if found and found.container else None
        if found and reserved and reserved.live.get(found.port.uuid) != docker_id:
            return None
        return found

    def endpoints(self) -> dict[str, Endpoint]:
        """All of them."""
        return self._journal.all("endpoint", Endpoint)

    def connect(self, docker_id: str, endpoint: Endpoint) -> None:
        """Docker made an endpoint."""
        port = endpoint.port
        with self.together():
            self._journal.put("endpoint", docker_id, endpoint)
            found = self.reserved(endpoint.container) if endpoint.container else None
            if found is not None:
                armed = tuple(uuid for uuid in found.armed if uuid != port.uuid)
                after = structs.replace(
                    found, armed=armed, live={**found.live, port.uuid: docker_id}
                )
                self._journal.put("port", endpoint.container, after)
                return
            for ip in port.fixed_ips:
                self.hold(endpoint.network_uuid, ip.address, Held(endpoint=docker_id))

    def disconnect(self, docker_id: str) -> str | None:
        """Docker removed an endpoint; its port, unless it is another endpoint by now, becomes
        a chore: its uuid.
        """
        with self.together():
            gone = self.endpoint(docker_id)
            if gone is None:
                return None
            self._journal.drop("endpoint", docker_id)
            found = self.reserved(gone.container) if gone.container else None
            if found is not None:
                if found.live.get(gone.port.uuid) != docker_id:
                    return None
                live = {key: value for key, value in found.live.items() if value != docker_id}
                self._journal.put("port", gone.container, structs.replace(found, live=live))
            for ip in gone.port.fixed_ips:
                held = self.holder(gone.network_uuid, ip.address)
                if held is not None and held.endpoint == docker_id:
                    self.let(gone.network_uuid, ip.address)
            self.owe(gone.port.uuid)
            return gone.port.uuid

    # --- what is still to be unmade --------------------------------------------------------------

    def owe(self, port_uuid: str) -> None:
        """The port is to be unmade until it is."""
        self._journal.put("chore", port_uuid, Chore(port_uuid=port_uuid))

    def owes(self, port_uuid: str) -> bool:
        """Whether the port is still to be unmade."""
        return self._journal.get("chore", port_uuid, Chore) is not None

    def owed(self) -> list[str]:
        """Ports to be unmade."""
        return list(self._journal.all("chore", Chore))

    def paid(self, port_uuid: str) -> None:
        """The port is unmade, or in use again."""
        self._journal.drop("chore", port_uuid)
