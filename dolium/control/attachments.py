"""Networks of a container that exists: its ports are plugged in and unplugged.

A port that is unplugged stays the container's, with its addresses: plugging it in again can't
fail because somebody else has them.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from dolium import errors
from dolium.control import rows
from dolium.model import reading
from dolium.model.container import Verb
from dolium.model.context import Context
from dolium.model.host import Inventory
from dolium.model.network import Network, Port, addresses
from dolium.store import hosts, networks
from dolium.store.containers import Observed
from dolium.store.store import Connection, Tx

_inventory = reading.reader(Inventory)


class Which(NamedTuple):
    """A container's place on a network, as a user names it: by network or by port."""

    network: str | None = None
    """Name or id."""
    port: str | None = None
    """Id."""
    fixed_ip: str | None = None
    """The address it is to have there."""


def ports(connection: Connection, container_uuid: str) -> list[Port]:
    """Those that are plugged in."""
    return [port for port, _ in networks.of_container(connection, container_uuid) if port.attached]


def detach(tx: Tx, context: Context, row: Observed, which: Which, at: float) -> None:
    """Wish it off a network; raises NotFound, NotAttached."""
    port, network = _find(tx, row, which)
    if port is None or not port.attached:
        raise errors.NotAttached(network=which.network or network.name, container=row.name)
    _switch(tx, context, row, port, Verb.NETWORK_DETACH, at)


def attach(tx: Tx, context: Context, row: Observed, which: Which, at: float) -> None:
    """Wish it on a network again; raises NotFound, Attached, Invalid."""
    port, network = _find(tx, row, which)
    if port is None or port.attached:
        raise errors.Attached(network=which.network or network.name, container=row.name)
    own = [ip.address for ip in port.fixed_ips]
    if which.fixed_ip is not None and which.fixed_ip not in own:
        why = f"On this network the container has kept {' and '.join(own)}."
        raise errors.Invalid(field="fixed_ip", why=why)
    _switch(tx, context, row, port, Verb.NETWORK_ATTACH, at)


def _find(tx: Tx, row: Observed, which: Which) -> tuple[Port | None, Network]:
    """The port and its network; no port: the container has not been placed yet."""
    plugged = networks.of_container(tx.connection, row.uuid)
    for port, network in plugged:
        if which.port == port.uuid or which.network in (network.uuid, network.name):
            return port, network
    if which.port is not None:
        raise errors.NotFound(kind="Neutron port", id=which.port)
    default = networks.of_project(tx.connection, row.project_id)
    if default is None or which.network not in (default.uuid, default.name):
        raise errors.NotFound(kind="Neutron network", id=which.network)
    return None, default


def _switch(tx: Tx, context: Context, row: Observed, port: Port, verb: Verb, at: float) -> None:
    host = hosts.get(tx.connection, row.host or "")
    if host is None or verb not in _inventory(host.inventory).verbs:
        raise errors.Conflict(why="The container's host runs an older Dolium, which can't do this.")
    networks.keep(tx, msgspec.structs.replace(port, attached=verb is Verb.NETWORK_ATTACH))
    shown = addresses(tuple(ports(tx.connection, row.uuid)))
    values = {"addresses": msgspec.json.encode(shown)}
    rows.wish(tx, context, row, verb, {"network": port.network_uuid}, at, values)
