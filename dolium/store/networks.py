"""Rows of networks, ports and the addresses that are taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import msgspec
import sqlalchemy as sa

from dolium.model import reading
from dolium.model.network import Network, Port
from dolium.store.plain import Among, Bulk, Plain
from dolium.store.schema import addresses, networks, ports, ranges
from dolium.store.store import Conflict, Tx

_port = reading.reader(Port)


@lru_cache(maxsize=256)
def _network(document: bytes) -> Network:
    """Networks never change, and the same ones are needed for container after container."""
    return reading.read(document, Network)


RECENT_S = 60.0
"""What was used so lately need not be noted again: the networks of a busy cloud would be written
with each batch.
"""

Plugged = tuple[list[Port], list[Network]]
"""A container's ports and the networks they are on."""


_OF_PROJECT = Plain(
    sa.select(networks.c.document).where(networks.c.project_id == sa.bindparam("project"))
)


def of_project(connection: sa.Connection, project_id: str) -> Network | None:
    """A project's default network."""
    row = _OF_PROJECT.run(connection, {"project": project_id}).fetchone()
    return _network(row[0]) if row else None


def get(connection: sa.Connection, uuid: str) -> Network | None:
    """One by its id."""
    found = sa.select(networks.c.document).where(networks.c.uuid == uuid)
    row = connection.execute(found).first()
    return _network(row[0]) if row else None


def of_projects(connection: sa.Connection, project_ids: Collection[str]) -> list[Network]:
    """The default networks of those projects that have one."""
    return [_network(row[0]) for row in _OF_PROJECTS.run(connection, [*project_ids])]


_OF_PROJECTS = Among(
    networks.c.project_id, lambda those: sa.select(networks.c.document).where(those)
)


def cidrs(connection: sa.Connection) -> set[str]:
    """Ranges of all networks."""
    return {row[0] for row in connection.execute(sa.select(ranges.c.cidr))}


def add(tx: Tx, network: Network, at: float) -> None:
    """A new network; of two that choose the same range the second one chooses again."""
    document = msgspec.json.encode(network)
    tx.fill(_NETWORK, [(network.uuid, network.project_id, at, document)])
    tx.fill(_RANGE, [(subnet.cidr, network.uuid) for subnet in network.subnets])


_NETWORK = Plain(networks.insert(), ("uuid", "project_id", "used_at", "document"))
_RANGE = Plain(ranges.insert(), ("cidr", "network_uuid"))


def idle(connection: sa.Connection, but: Iterable[str] = ()) -> Network | None:
    """The network without ports that is unused for the longest time, `but` those named."""
    row = connection.execute(
        sa.select(networks.c.document)
        .where(
            networks.c.uuid.not_in(list(but)),
            ~sa.exists().where(ports.c.network_uuid == networks.c.uuid),
        )
        .order_by(networks.c.used_at)
        .limit(1)
    ).first()
    return _network(row[0]) if row else None


def drop(tx: Tx, network_uuid: str) -> bool:
    """Forget a network; False when it has got a port meanwhile."""
    its = ports.c.network_uuid == network_uuid
    tx.run(sa.select(networks.c.uuid).where(networks.c.uuid == network_uuid).with_for_update())
    if tx.run(sa.select(ports.c.uuid).where(its).limit(1)).first():
        return False
    tx.run(ranges.delete().where(ranges.c.network_uuid == network_uuid))
    tx.run(networks.delete().where(networks.c.uuid == network_uuid))
    return True


_TAKEN = Plain(
    sa.select(addresses.c.port_uuid).where(
        addresses.c.network_uuid == sa.bindparam("network"),
        addresses.c.address == sa.bindparam("address_"),
    )
)


def taken(connection: sa.Connection, network_uuid: str, address: str) -> bool:
    """Whether an address is in use on a network."""
    found = _TAKEN.run(connection, {"network": network_uuid, "address_": address})
    return found.fetchone() is not None


_ALL_TAKEN = Plain(
    sa.select(addresses.c.address).where(addresses.c.network_uuid == sa.bindparam("network"))
)


def addresses_of(connection: sa.Connection, network_uuid: str) -> set[str]:
    """All addresses in use on a network."""
    return {row[0] for row in _ALL_TAKEN.run(connection, {"network": network_uuid})}


_PORT = Plain(ports.insert(), ("uuid", "network_uuid", "container_uuid", "document"))
_ADDRESS = Plain(addresses.insert(), ("network_uuid", "address", "port_uuid"))
_HOLD = Among(
    networks.c.uuid,
    lambda those: (
        sa.select(networks.c.uuid, networks.c.used_at)
        .where(those)
        .order_by(networks.c.uuid)
        .with_for_update()
    ),
)
_USED = Bulk(
    {"network": sa.String, "at": sa.Double},
    lambda given: (
        networks.update().where(networks.c.uuid == given.network).values(used_at=given.at)
    ),
)


def plug(tx: Tx, made: Sequence[Port], at: float) -> None:
    """Write ports down with their addresses; one address is never given twice."""
    if not made:
        return
    # First of all, as `drop` locks the same rows: a network that is gone takes no port.
    used = sorted({port.network_uuid for port in made})
    held = list(_HOLD.run(tx.connection, used))
    if len(held) != len(used):
        raise Conflict
    if old := [(uuid, at) for uuid, then in held if then < at - RECENT_S]:
        tx.bulk(_USED, old)
    encode = msgspec.json.encode
    tx.fill(
        _PORT,
        [(port.uuid, port.network_uuid, port.container_uuid, encode(port)) for port in made],
    )
    tx.fill(
        _ADDRESS,
        [(port.network_uuid, ip.address, port.uuid) for port in made for ip in port.fixed_ips],
    )


def unplug(tx: Tx, container_uuid: str) -> None:
    """Forget a deleted container's ports."""
    gone = [
        row[0]
        for row in tx.run(sa.select(ports.c.uuid).where(ports.c.container_uuid == container_uuid))
    ]
    if gone:
        tx.run(addresses.delete().where(addresses.c.port_uuid.in_(gone)))
        tx.run(ports.delete().where(ports.c.uuid.in_(gone)))


def keep(tx: Tx, port: Port) -> None:
    """Write down what became of a port; its network and addresses stay."""
    document = msgspec.json.encode(port)
    tx.run(ports.update().where(ports.c.uuid == port.uuid).values(document=document))


def of_container(connection: sa.Connection, uuid: str) -> list[tuple[Port, Network]]:
    """All ports of a container, plugged in or not, each with its network."""
    found = _PLUGGED.run(connection, [uuid])
    return [(_port(port), _network(network)) for _, port, network in found]


_PLUGGED = Among(
    ports.c.container_uuid,
    lambda those: (
        sa.select(ports.c.container_uuid, ports.c.document, networks.c.document)
        .join(networks, networks.c.uuid == ports.c.network_uuid)
        .where(those)
        .order_by(ports.c.uuid)
    ),
)


def of_containers(connection: sa.Connection, uuids: Sequence[str]) -> dict[str, Plugged]:
    """Ports of containers that are plugged in, and the networks they are on."""
    found: dict[str, Plugged] = {}
    known: dict[bytes, Network] = {}
    for uuid, port_document, network_document in _PLUGGED.run(connection, uuids):
        port = _port(port_document)
        if not port.attached:
            continue
        network = known.get(network_document)
        if network is None:  # many containers are on one
            network = known[network_document] = _network(network_document)
        its_ports, its_networks = found.setdefault(uuid, ([], []))
        its_ports.append(port)
        if network not in its_networks:
            its_networks.append(network)
    return found
