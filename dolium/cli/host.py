"""`dolium host`: what operators see of hosts and say about them, beside the API.

It works on the database itself, so that it also helps when no API answers.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from msgspec import Struct

from dolium import conf
from dolium.cli.database import opened
from dolium.control.services import Host, Services
from dolium.model.clock import SystemClock, iso
from dolium.model.host import Standing, standing


class Word(Struct, frozen=True, kw_only=True):
    """What somebody typed."""

    what: str
    name: str | None
    reason: str | None = None
    proven: bool = False
    unset: bool = False
    as_json: bool = False


def run(config: conf.Config, word: Word) -> int:
    """Do it and say what is so now."""
    with opened(config) as store:
        services = Services(store, SystemClock())
        if word.what == "list":
            _list(services.hosts(), as_json=word.as_json)
            return 0
        name = services.host(word.name or "").service.name
        _say(services, name, word)
        _show(services, name, as_json=word.as_json)
    return 0


def _say(services: Services, name: str, word: Word) -> None:
    match word.what:
        case "enable":
            services.enable(name)
        case "disable" | "drain":
            services.disable(name, word.reason)
        case "force-down" if word.proven and not word.unset:
            services.declare(name)
        case "force-down":
            services.force_down(name, not word.unset)
        case "heal":
            services.heal(name)


_STATES = {
    Standing.DISABLED: "up, disabled",
    Standing.FORCED_DOWN: "forced down",
    Standing.HELD: "silent, held",
}
"""States that people read in more than their one word."""


def state(host: Host) -> str:
    """`up`, `silent`, … in one or two words."""
    service = host.service
    found = standing(
        proof=service.proof,
        silent=service.silent,
        held=service.held,
        forced_down=service.forced_down,
        disabled=service.disabled,
    )
    return _STATES.get(found, found.value)


def _list(hosts: list[Host], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([_facts(host) for host in hosts], indent=2) + "\n")
        return
    head = ("NAME", "ZONE", "STATE", "CONTAINERS", "CPUS", "MEMORY MiB", "HYPERVISOR")
    rows = [
        (
            host.service.name,
            host.service.zone,
            state(host),
            str(host.containers),
            f"{host.service.used_cpu_m / 1000:g} of {host.inventory.cpus}",
            f"{host.service.used_memory_mib} of {host.inventory.memory_mib}",
            host.inventory.hypervisor,
        )
        for host in hosts
    ]
    _table([head, *rows])


def _show(services: Services, name: str, *, as_json: bool) -> None:
    facts, there = _facts(services.host(name)), services.containers(name)
    if as_json:
        facts["there"] = [{"uuid": c.uuid, "name": c.name, "status": c.status} for c in there]
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    _table([(name, "" if value is None else str(value)) for name, value in facts.items()])
    if there:
        sys.stdout.write("\n")
        _table([("CONTAINER", "NAME", "STATUS"), *((c.uuid, c.name, c.status) for c in there)])


def _facts(host: Host) -> dict[str, Any]:
    service = host.service
    return {
        "name": service.name,
        "uuid": service.uuid,
        "region": host.inventory.region,
        "zone": service.zone,
        "rack": host.inventory.rack,
        "hypervisor": host.inventory.hypervisor,
        "state": state(host),
        "containers": host.containers,
        "disabled": service.disabled,
        "disabled_reason": service.disabled_reason,
        "forced_down": service.forced_down,
        "heard_at": _time(service.heard_at),
        "silent_at": _time(service.silent_at),
        "held": service.held,
        "proof": service.proof,
        "engine": host.inventory.engine,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)[:19]


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
