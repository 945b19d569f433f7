"""Why no host fits, or why it is this one, in one sentence a user can act on.

    3 hosts: 1 is disabled, 2 lack memory (512 MiB asked, at most 100 MiB free)
    of group web: 4 in its region, 2 in its zone, 0 in its rack, ...; the emptiest of a few ...

Each host that does not fit counts once, for the first condition of the table that removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dolium.model.placing import Amounts, Host, Level, Request
from dolium.placing.near import Near, attempts
from dolium.placing.slot import Slot, load


class Known(NamedTuple):
    """A host, what it has left now, and where the members of the request's group are."""

    host: Host
    free: Amounts
    near: Near


def _too_near(known: Known, ask: Request) -> bool:
    level = ask.group.anti_affinity if ask.group else None
    return level is not None and known.host.path[level] in known.near


def _too_far(known: Known, ask: Request) -> bool:
    level = ask.group.affinity if ask.group else None
    return level is not None and bool(known.near) and known.host.path[level] not in known.near


def _cpu(known: Known, ask: Request) -> int:
    return ask.cpu_m + ask.cpus * known.host.per_cpu


REASONS: tuple[tuple[Callable[[Known, Request], bool], str], ...] = (
    (lambda known, ask: ask.host not in (None, known.host.name), "{is_} not {ask.host}"),
    (lambda known, ask: not known.host.up, "{does} not answer"),
    (lambda known, ask: known.host.disabled, "{is_} disabled"),
    (lambda known, ask: ask.zone not in (None, known.host.zone), "{is_} not in zone {ask.zone}"),
    (
        lambda known, ask: not ask.labels.items() <= known.host.labels.items(),
        "{lacks} label {labels}",
    ),
    (
        lambda known, ask: ask.runtime not in (None, *known.host.runtimes),
        "{lacks} runtime {ask.runtime}",
    ),
    (lambda known, ask: ask.capsule and not known.host.capsules, "{does} not take capsules"),
    (
        lambda known, ask: ask.among is not None and known.host.name not in ask.among,
        "{has} none of the containers of same_host",
    ),
    (
        lambda known, ask: known.host.name in ask.avoid,
        "{has} a container of different_host",
    ),
    (
        _too_far,
        "{is_} {ask.group.affinity.at} another {ask.group.affinity} than group {ask.group.name}",
    ),
    (
        _too_near,
        "{is_} {ask.group.anti_affinity.at} a {ask.group.anti_affinity} with one of group "
        "{ask.group.name}",
    ),
    (
        lambda known, ask: ask.cpus > 0 and known.host.total.cpus == 0,
        "{does} not give CPUs to one container alone",
    ),
    (
        lambda known, ask: ask.cpus > 0 and known.free.cpus < ask.cpus,
        "{lacks} dedicated CPUs ({ask.cpus} asked, at most {free_cpus} free)",
    ),
    (
        lambda known, ask: known.free.cpu_m < _cpu(known, ask),
        "{lacks} CPU ({cpu:g} asked, at most {free_cpu:g} free)",
    ),
    (
        lambda known, ask: known.free.memory_mib < ask.memory_mib,
        "{lacks} memory ({ask.memory_mib} MiB asked, at most {free_memory} MiB free)",
    ),
    (
        lambda known, ask: known.free.disk_gib < ask.disk_gib,
        "{lacks} disk ({ask.disk_gib} GiB asked, at most {free_disk} GiB free)",
    ),
)
"""Condition that removes a host -> how to say so of the hosts it removed."""


def nowhere(hosts: Sequence[Known], request: Request) -> str:
    """How many hosts each condition removed; also says how many would fit."""
    if not hosts:
        return "there are no hosts yet"
    left, said = list(hosts), []
    for removes, text in REASONS:
        removed = [known for known in left if removes(known, request)]
        if removed:
            left = [known for known in left if not removes(known, request)]
            said.append(f"{len(removed)} {_say(text, removed, request)}")
    if left:
        said.append(f"{len(left)} {'fits' if len(left) == 1 else 'fit'}")
    return f"{len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}: {', '.join(said)}"


def _say(text: str, removed: Sequence[Known], ask: Request) -> str:
    one = len(removed) == 1
    return text.format(
        is_="is" if one else "are",
        does="does" if one else "do",
        has="has" if one else "have",
        lacks="lacks" if one else "lack",
        ask=ask,
        labels=", ".join(f"{key}={value}" for key, value in sorted(ask.labels.items())),
        cpu=max(_cpu(known, ask) for known in removed) / 1000,
        free_cpu=max(0, *(known.free.cpu_m for known in removed)) / 1000,
        free_cpus=max(0, *(known.free.cpus for known in removed)),
        free_memory=max(0, *(known.free.memory_mib for known in removed)),
        free_disk=max(0, *(known.free.disk_gib for known in removed)),
    )


def there(slot: Slot, request: Request, about: str, hosts: int, near: Near) -> str:
    """Why a request goes to a slot, in the words of the policy; before it is taken."""
    cpu = request.cpu_m + request.cpus * slot.per_dedicated
    share = load(cpu, request.memory_mib, request.disk_gib)(slot) or 0.0
    if request.host is not None:
        chosen = "asked for by name"
    elif request.among is not None:
        chosen = "the host of a container of same_host"
    elif hosts == 1:
        chosen = "the only host that meets its conditions"
    else:
        chosen = f"{about}, of {hosts} hosts that meet its conditions"
    chosen = f"{chosen}; {int(share * 100)}% used with it"
    return f"{_company(slot, request, near)}; {chosen}" if request.group else chosen


def _company(slot: Slot, request: Request, near: Near) -> str:
    """Where a slot is as seen from the others of the group, and whether soft rules were kept."""
    group = request.group
    assert group is not None
    if not near:
        return f"the first of group {group.name}"
    counts = ", ".join(f"{near.get(slot.path[level], 0)} {level.at} its {level}" for level in Level)
    wanted = attempts(group)[0]
    gave_up = "" if wanted.allows(slot.path, near) else "; a soft rule could not be kept"
    return f"of group {group.name}: {counts}{gave_up}"
