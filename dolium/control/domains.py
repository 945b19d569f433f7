"""Failure domains: why a container is where it is, and what losing a domain takes down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

from msgspec import Struct

from dolium import errors
from dolium.model import reading
from dolium.model.host import Inventory
from dolium.model.placing import LEVELS, Level
from dolium.store import domains, hosts
from dolium.store.domains import Lodger, Lodging
from dolium.store.store import Connection

_inventory = reading.reader(Inventory)

Path = tuple[str, ...]


class Why(Struct, frozen=True, kw_only=True):
    """Where one container is and what was said when it got there, or got nowhere."""

    uuid: str
    name: str
    project_id: str
    status: str
    host: str | None
    domains: dict[str, str] = {}
    """Level -> the domain of the host."""
    group: str | None = None
    others: dict[str, int] = {}
    """Level -> how many others of the group are in the same domain now."""
    reason: str | None = None
    """None where it still waits, or was placed before reasons were kept."""


class Loss(Struct, frozen=True, kw_only=True):
    """What a group loses."""

    project_id: str
    name: str
    lost: int
    members: int
    """Of those that have a host."""


class Radius(Struct, frozen=True, kw_only=True):
    """What the loss of a domain takes down."""

    level: str
    name: str
    domains: list[str]
    """All domains of this name: racks of two zones may be called the same."""
    hosts: list[str]
    containers: dict[str, list[Lodging]]
    """By project."""
    groups: list[Loss]
    """Those that lose at least half of their members, the worst first."""


def why(connection: Connection, ident: str) -> list[Why]:
    """Of the container with this id, or of all with this name; raises NotFound."""
    found = domains.named(connection, ident)
    if not found:
        raise errors.NotFound(kind="Container", id=ident)
    paths = _paths(connection)
    return [_why(connection, one, paths) for one in found]


def _why(connection: Connection, one: Lodger, paths: dict[str, Path]) -> Why:
    path = paths.get(one.host or "")
    others: dict[str, int] = {}
    if one.group_id is not None and path is not None:
        near = Counter[str]()
        for uuid, host in domains.mates(connection, one.group_id).items():
            if uuid != one.uuid:
                near.update(paths.get(host, ()))
        others = {str(level): near[path[level]] for level in Level}
    return Why(
        uuid=one.uuid,
        name=one.name,
        project_id=one.project_id,
        status=one.status,
        host=one.host,
        domains={str(level): path[level] for level in Level} if path else {},
        group=one.group,
        others=others,
        reason=one.placed_reason if one.host else one.status_reason,
    )


def blast_radius(connection: Connection, level: str, name: str) -> Radius:
    """Of a domain, named alone (`r1`) or with what it is in (`nova/r1`); raises NotFound."""
    if level not in LEVELS:
        raise errors.Invalid(field="level", why=f"It is one of {', '.join(LEVELS)}")
    paths = _paths(connection)
    inside = {host: path for host, path in paths.items() if _is(path[LEVELS[level]], name)}
    if not inside:
        raise errors.NotFound(kind=level.capitalize(), id=name)
    containers: dict[str, list[Lodging]] = defaultdict(list)
    for one in domains.on(connection, sorted(inside)):
        containers[one.project_id].append(one)
    return Radius(
        level=level,
        name=name,
        domains=sorted({path[LEVELS[level]] for path in inside.values()}),
        hosts=sorted(inside),
        containers=dict(sorted(containers.items())),
        groups=_losses(connection, inside),
    )


def _losses(connection: Connection, inside: Collection[str]) -> list[Loss]:
    found = []
    for (project_id, name), at in domains.shares(connection).items():
        members = sum(at.values())
        lost = sum(count for host, count in at.items() if host in inside)
        if lost and 2 * lost >= members:
            found.append(Loss(project_id=project_id, name=name, lost=lost, members=members))
    return sorted(found, key=lambda loss: (-loss.lost / loss.members, loss.project_id, loss.name))


def _is(domain: str, name: str) -> bool:
    return domain == name or domain.endswith(f"/{name}")


def _paths(connection: Connection) -> dict[str, Path]:
    found = {}
    for host in hosts.all_of_them(connection):
        inventory = _inventory(host.inventory)
        found[host.name] = inventory.known(host.name, host.hypervisor).path
    return found
