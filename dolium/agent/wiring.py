"""Networks of a host's containers: promised before the engine makes one, taken back after it went.

    plug -> engine.create -> arm -> engine.start      unplug after the engine's container is gone

In between the engine calls our network plugin (`agent/plugin`), which answers from the ledger
that is written here. Everything may be repeated after a kill at any point; `tidy` removes what
no wish needs.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from dolium import errors
from dolium.agent.journal import Journal
from dolium.agent.plugin.ledger import Ledger, Wired, digest
from dolium.agent.plugin.pairs import Pairs
from dolium.drivers.binder.base import Binder
from dolium.drivers.engine.base import Engine, Plug
from dolium.model.network import Network
from dolium.model.wish import Wish


class Wiring:
    """Ports and networks of one host. May be called from many threads."""

    def __init__(
        self,
        journal: Journal,
        binder: Binder,
        engine: Engine,
        plugin_name: str,
        deployment: str,
        *,
        pairs: Pairs | None = None,
        mint: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        """plugin_name: under which Docker finds our socket; pairs: those the plugin makes, where
        it began to answer before there was an engine; mint: makes a token nobody guesses.
        """
        self.ledger = Ledger(journal)
        self.pairs = pairs or Pairs(self.ledger, binder)
        self._binder = binder
        self._engine = engine
        self._plugin_name = plugin_name
        self._deployment = deployment
        self._mint = mint
        self._lock = threading.RLock()
        """Networks are wired and unwired one at a time."""
        self._suspects: set[tuple[str, str]] = set()
        """What nobody needed in the last look; it goes when the next one finds the same."""

    def plug(self, wish: Wish, *, anew: bool = False) -> tuple[Plug, ...]:
        """Before `engine.create`: promise the wish's ports and make their networks known.

        anew: the engine turned out to have forgotten a network, whatever it was told before.

        Each call hands out a fresh token; earlier ones of the same container stay good, because
        the engine may have made it in answer to a call whose end nobody saw.
        """
        networks = {network.uuid: network for network in wish.networks}
        missing = {port.network_uuid for port in wish.ports} - networks.keys()
        if missing:
            raise errors.DriverError(why=f"The wish of {wish.uuid} lacks networks {missing}")
        token = self._mint()
        with self._lock:
            self._suspects -= {("port", wish.uuid), *(("network", uuid) for uuid in networks)}
            # First of all, because a network that nobody reserved a port of may go at any time.
            for port_uuid in self.ledger.reserve(wish.uuid, wish.ports, digest(token)):
                self.pairs.pay(port_uuid)
            for network in networks.values():
                if anew:
                    self.ledger.keep(network, engine=False)
                self._wire(network)
        aliases = tuple(dict.fromkeys(alias for alias in (wish.name, wish.uuid) if alias))
        return tuple(
            Plug(port=port, network=networks[port.network_uuid], token=token, aliases=aliases)
            for port in wish.ports
        )

    def arm(self, container_uuid: str) -> None:
        """Immediately before each `engine.start`: its ports may become endpoints, once each."""
        self.ledger.arm(container_uuid)

    def unplug(self, container_uuid: str) -> None:
        """After the engine's container is removed: take the promise back. Unknown is fine, and
        so is a binder that fails: `tidy` goes on with it.
        """
        for port_uuid in self.ledger.resign(container_uuid):
            self.pairs.pay(port_uuid)

    def tidy(self, containers: set[str], networks: set[str], *, arrived: bool = True) -> list[str]:
        """In the periodic look: put right what differs; says what it did.

        containers, networks: what this host's wishes need, from a complete page of wishes.
        arrived: what was on its way into a container at the last such look is there by now.
        What is surplus goes only when two looks in a row find it so, because a wish may have
        arrived meanwhile. What people at the command line still have plugged stays.
        """
        said: list[str] = []
        for step in (
            self._prepare,
            self._chores,
            lambda: self._ports(containers),
            self._endpoints if arrived else list[str],
            lambda: self._networks(networks),
        ):
            try:
                said += step()
            except errors.Error as error:
                said.append(f"Networks were not tidied completely: {error}")
        return said

    def release(self, *, engine_too: bool) -> list[str]:
        """On an orderly `down`, after the containers stopped: leave nothing on the host.

        engine_too: make the engine forget our networks, because it is somebody else's and would
        ask our plugin at its next start. Networks with containers in them stay, and with them
        the rules; returns what stays.
        """
        stays = []
        with self._lock:
            self._chores()
            plugged = {each.network_uuid for each in self.ledger.endpoints().values()}
            for uuid, wired in self.ledger.networks().items():
                if uuid in plugged:
                    stays.append(f"Network {uuid} stays, because containers are plugged into it")
                    continue
                try:
                    if engine_too:
                        self._engine.unwire(uuid)
                        self.ledger.keep(wired.network, engine=False)
                    self._binder.unwire(uuid)
                except errors.Error as error:
                    stays.append(f"Network {uuid} stays: {error}")
            if not stays:
                self._binder.release()
        return stays

    # --- networks ----------------------------------------------------------------------------

    def _wire(self, network: Network) -> None:
        known = self.ledger.network(network.uuid)
        if known == Wired(network=network, engine=True):
            return
        self.ledger.keep(network, engine=False)
        self._binder.wire(network)
        self._engine.wire(network, self._plugin_name, self._deployment)
        self.ledger.keep(network, engine=True)

    def _unwire(self, uuid: str) -> None:
        self._engine.unwire(uuid)
        self._binder.unwire(uuid)
        self.ledger.forget(uuid)

    def _in_use(self) -> set[str]:
        reserved = self.ledger.reservations().values()
        used = {port.network_uuid for each in reserved for port in each.ports}
        return used | {each.network_uuid for each in self.ledger.endpoints().values()}

    # --- steps of tidy -------------------------------------------------------------------------

    def _prepare(self) -> list[str]:
        self._binder.prepare()
        return []

    def _chores(self) -> list[str]:
        owed = self.ledger.owed()
        return [f"Unmade port {uuid}" for uuid in owed if self.pairs.pay(uuid)]

    def _again(self, kind: str, surplus: set[str]) -> list[str]:
        """Those that were surplus in the last look too."""
        with self._lock:
            now = {(kind, each) for each in surplus}
            again = self._suspects & now
            self._suspects = {each for each in self._suspects if each[0] != kind} | now
        return sorted(each for _, each in again)

    def _still(self, kind: str, each: str) -> bool:
        return (kind, each) in self._suspects

    def _ports(self, containers: set[str]) -> list[str]:
        said = []
        for uuid in self._again("port", self.ledger.reservations().keys() - containers):
            with self._lock:
                if not self._still("port", uuid):
                    continue
                self._suspects.discard(("port", uuid))
                self.unplug(uuid)
            said.append(f"Took back the ports of container {uuid}, which nobody wishes any more")
        return said

    def _endpoints(self) -> list[str]:
        """Endpoints whose end Docker could not tell us, addresses nobody came for, and pairs
        that are in no container.
        """
        bound = self._binder.bound()
        reserved = self.ledger.reservations()
        dead = set()
        for docker_id, endpoint in self.ledger.endpoints().items():
            name = self._binder.port_name(endpoint.port.uuid)
            if endpoint.container:
                owner = reserved.get(endpoint.container)
                alive = owner is not None and owner.live.get(endpoint.port.uuid) == docker_id
            else:
                alive = name in bound.ports and name not in bound.loose
            if not alive:
                dead.add(docker_id)
        said = []
        for docker_id in self._again("endpoint", dead):
            port_uuid = self.ledger.disconnect(docker_id)
            if port_uuid:
                self.pairs.pay(port_uuid)
            said.append(f"Forgot endpoint {docker_id[:12]}, which is plugged nowhere")
        pending = {
            f"{network}/{address}"
            for (network, address), held in self.ledger.addresses().items()
            if not held.container and not held.endpoint
        }
        for key in self._again("address", pending):
            network, _, address = key.partition("/")
            self.ledger.let(network, address)
            said.append(f"Took back address {address}, which nobody came for")
        said += [f"Removed interface {name}, left over" for name in self.pairs.sweep(bound.loose)]
        return said

    def _networks(self, needed: set[str]) -> list[str]:
        known = self.ledger.networks()
        in_engine = set(self._engine.wired(self._deployment))
        bound = self._binder.bound()
        said = []
        needed = needed | self._in_use()
        for uuid in self._again("network", (known.keys() | in_engine) - needed):
            with self._lock:
                if self._still("network", uuid) and uuid not in self._in_use():
                    self._suspects.discard(("network", uuid))
                    self._unwire(uuid)
                    said.append(f"Removed network {uuid}, which nobody here needs")
        for uuid, wired in self.ledger.networks().items():
            with self._lock:
                if wired.engine and uuid not in in_engine and uuid in known:
                    self.ledger.keep(wired.network, engine=False)
                if self._binder.network_name(uuid) not in bound.networks and uuid in needed:
                    self._binder.wire(wired.network)
                    said.append(f"Made the bridge of network {uuid} anew")
        ours = {self._binder.network_name(uuid) for uuid in self.ledger.networks().keys() | needed}
        for name in self._again("bridge", set(bound.networks - ours)):
            self._binder.sweep(name)
            said.append(f"Removed bridge {name}, which nobody remembers")
        return said
