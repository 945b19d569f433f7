"""What the database says of the cloud, for `dolium status`: roles, hosts, containers, actions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dolium.cli.host import state
from dolium.control.members import BEAT_S
from dolium.control.services import Services
from dolium.model.clock import SystemClock, iso
from dolium.store import members, overview
from dolium.store.members import Member
from dolium.store.store import Store

PATIENCE_S = 2 * BEAT_S
"""Within this time every process that lives shows a sign of life."""
LOOK_S = 0.2

Contents = dict[str, Any]


def read(store: Store, patience_s: float | None = None) -> Contents:
    """Look. Processes are looked at until each has shown a sign of life, or the time is up."""
    with store.read() as connection:
        found = overview.read(connection)
        oldest = overview.oldest(connection)
    return {
        "roles": _roles(store, PATIENCE_S if patience_s is None else patience_s),
        "hosts": _hosts(store),
        "containers": found.containers,
        "waiting_for_a_host": found.waiting,
        "waiting_for_placement": found.asking,
        "open_actions": found.open_actions,
        "oldest_action": None if oldest is None else _action(oldest),
    }


def _roles(store: Store, patience_s: float) -> list[Contents]:
    until = time.monotonic() + patience_s
    first = {member.id: member for member in _members(store)}
    waited = set(first)
    while waited and time.monotonic() < until:
        time.sleep(LOOK_S)
        now = {member.id: member.beat for member in _members(store)}
        # One that has left meanwhile is not silent.
        waited = {each for each in waited if now.get(each) == first[each].beat}
    return [_role(member, alive=member.id not in waited) for member in first.values()]


def _members(store: Store) -> list[Member]:
    with store.glance() as connection:
        return members.all_of_them(connection)


def _role(member: Member, *, alive: bool) -> Contents:
    return {
        "role": member.role,
        "host": member.host,
        "version": member.version,
        "address": member.address,
        "started_at": iso(member.started_at)[:19],
        "for_s": _ago(member.started_at),
        "alive": alive,
    }


def _hosts(store: Store) -> list[Contents]:
    return [
        {
            "name": host.service.name,
            "zone": host.service.zone,
            "state": state(host),
            "containers": host.containers,
        }
        for host in Services(store, SystemClock()).hosts()
    ]


def _action(oldest: overview.Oldest) -> Contents:
    return {
        "verb": oldest.verb,
        "container": oldest.container,
        "name": oldest.name,
        "host": oldest.host,
        "request_id": oldest.request_id,
        "for_s": _ago(oldest.since),
    }


def _ago(at: float) -> float:
    return round(max(0.0, time.time() - at), 1)


# --- for people ------------------------------------------------------------------------------

MOST_LINES = 20
"""Of more hosts only those are listed that are not up."""


def lines(found: Contents) -> list[str]:
    """The same as people read it."""
    shown = _shown_roles(found["roles"]) + _shown_hosts(found["hosts"])
    counts = [f"{number} {status}" for status, number in sorted(found["containers"].items())]
    shown.append(_line("containers", ", ".join(counts) or "none"))
    waits = [
        f"{found[key]} for {what}"
        for key, what in (("waiting_for_a_host", "a host"), ("waiting_for_placement", "Placement"))
        if found[key]
    ]
    if waits:
        shown.append(_line("waiting", ", ".join(waits)))
    if found["open_actions"]:
        oldest = found["oldest_action"]
        where = f" on {oldest['host']}" if oldest["host"] else ", which has no host yet"
        shown.append(
            _line(
                "actions",
                f"{found['open_actions']} under way; the oldest for {spoken(oldest['for_s'])}: "
                f"{oldest['verb']} {oldest['name']}{where} ({oldest['request_id']})",
            )
        )
    return shown


def _shown_roles(roles: list[Contents]) -> list[str]:
    rows = [
        (
            each["role"],
            "shows signs of life" if each["alive"] else "SHOWS NO SIGN OF LIFE",
            f"on {each['host']}",
            f"version {each['version']}",
            f"for {spoken(each['for_s'])}",
        )
        for each in roles
    ]
    return _titled("roles", rows)


def _shown_hosts(hosts: list[Contents]) -> list[str]:
    if not hosts:
        return [_line("hosts", "none yet")]
    listed = hosts if len(hosts) <= MOST_LINES else [h for h in hosts if h["state"] != "up"]
    rows = [
        (h["name"], h["state"], f"in {h['zone']}", f"{h['containers']} containers") for h in listed
    ]
    if len(hosts) <= MOST_LINES:
        return _titled("hosts", rows)
    states = Counter(h["state"] for h in hosts)
    counts = "; ".join(f"{number} {state}" for state, number in states.most_common())
    return [_line("hosts", counts), *_titled("", rows[:MOST_LINES])]


def _titled(title: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [_line(title if number == 0 else "", text) for number, text in enumerate(texts)]


def _line(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def spoken(seconds: float) -> str:
    """`12.3 s`, `5 min`, `3 h`, `9 days`."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.1f} s"
