"""`dolium why` and `dolium blast-radius`: where containers are, and what fails together."""

from __future__ import annotations

import sys

import msgspec

from dolium import conf
from dolium.cli.database import opened
from dolium.control import domains
from dolium.control.domains import Loss, Radius, Why
from dolium.model.placing import LEVELS


def why(config: conf.Config, ident: str, *, as_json: bool) -> int:
    """Print why a container is where it is, or nowhere."""
    with opened(config) as store, store.read() as connection:
        found = domains.why(connection, ident)
    _print(found, as_json, "\n".join(map(_told, found)))
    return 0


def blast_radius(config: conf.Config, level: str, name: str, *, as_json: bool) -> int:
    """Print what the loss of a domain takes down."""
    with opened(config) as store, store.read() as connection:
        found = domains.blast_radius(connection, level, name)
    _print(found, as_json, _losses(found))
    return 0


def _print(found: object, as_json: bool, told: str) -> None:
    if as_json:
        told = msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
    sys.stdout.write(told)


def _told(one: Why) -> str:
    lines = [f"{one.name} ({one.uuid}, project {one.project_id}) is {one.status}"]
    if one.host is not None:
        lines.append(f"  on host {one.host}, {_domains(one)}")
        lines.append(f"  because {one.reason or 'it was placed before reasons were kept'}")
    elif one.reason is not None:
        lines.append(f"  nowhere: {one.reason}")
    else:
        lines.append("  waits for a host")
    if one.group is not None:
        counts = ", ".join(
            f"{count} {LEVELS[level].at} its {level}" for level, count in one.others.items()
        )
        lines.append(f"  of group {one.group} there are now {counts or 'no others placed'}")
    return "\n".join(lines) + "\n"


def _domains(one: Why) -> str:
    named = {level: path.rpartition("/")[2] for level, path in one.domains.items()}
    told = ", ".join(f"{level} {name}" for level, name in named.items() if name)
    return told or "which is not enrolled any more"


def _losses(found: Radius) -> str:
    count = sum(map(len, found.containers.values()))
    lines = [
        f"Losing {found.level} {found.name} takes down {_many(len(found.hosts), 'host')} and "
        f"{_many(count, 'container')} of {_many(len(found.containers), 'project')}."
    ]
    if len(found.domains) > 1:
        lines.append(f"  {len(found.domains)} have this name: {', '.join(found.domains)}")
    lines.append(f"  hosts: {', '.join(found.hosts)}")
    for project, lodging in found.containers.items():
        lines.append(f"  project {project}: {_many(len(lodging), 'container')}")
        lines += [f"    {one.name} ({one.uuid}) on {one.host}, {one.status}" for one in lodging]
    lines += map(_loss, found.groups)
    return "\n".join(lines) + "\n"


def _loss(loss: Loss) -> str:
    lost = f"all {loss.members}" if loss.lost == loss.members else f"{loss.lost} of {loss.members}"
    return f"  group {loss.name} of project {loss.project_id} loses {lost} members"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
