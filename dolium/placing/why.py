"""Why no host fits, in one sentence a user can act on.

    3 hosts: 1 is disabled, 2 lack memory (512 MiB asked, at most 100 MiB free)

Each host counts once, for the first condition of the table that removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dolium.model.placing import Amounts, Host, Request

Known = tuple[Host, Amounts]
"""A host and what it has left now."""

REASONS: tuple[tuple[Callable[[Host, Amounts, Request], bool], str], ...] = (
    (lambda host, free, ask: ask.host not in (None, host.name), "{is_} not {ask.host}"),
    (lambda host, free, ask: not host.up, "{does} not answer"),
    (lambda host, free, ask: host.disabled, "{is_} disabled"),
    (lambda host, free, ask: ask.zone not in (None, host.zone), "{is_} not in zone {ask.zone}"),
    (
        lambda host, free, ask: not ask.labels.items() <= host.labels.items(),
        "{lacks} label {labels}",
    ),
    (
        lambda host, free, ask: ask.runtime not in (None, *host.runtimes),
        "{lacks} runtime {ask.runtime}",
    ),
    (
        lambda host, free, ask: free.cpu_m < ask.cpu_m,
        "{lacks} CPU ({cpu:g} asked, at most {free_cpu:g} free)",
    ),
    (
        lambda host, free, ask: free.memory_mib < ask.memory_mib,
        "{lacks} memory ({ask.memory_mib} MiB asked, at most {free_memory} MiB free)",
    ),
    (
        lambda host, free, ask: free.disk_gib < ask.disk_gib,
        "{lacks} disk ({ask.disk_gib} GiB asked, at most {free_disk} GiB free)",
    ),
)
"""Condition that removes a host -> how to say so of the hosts it removed."""


def why(hosts: Sequence[Known], request: Request) -> str:
    """How many hosts each condition removed; also says how many would fit."""
    if not hosts:
        return "there are no hosts yet"
    left, said = list(hosts), []
    for removes, text in REASONS:
        removed = [known for known in left if removes(*known, request)]
        if removed:
            left = [known for known in left if not removes(*known, request)]
            said.append(f"{len(removed)} {_say(text, removed, request)}")
    if left:
        said.append(f"{len(left)} {'fits' if len(left) == 1 else 'fit'}")
    return f"{len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}: {', '.join(said)}"


def _say(text: str, removed: Sequence[Known], ask: Request) -> str:
    one = len(removed) == 1
    return text.format(
        is_="is" if one else "are",
        does="does" if one else "do",
        lacks="lacks" if one else "lack",
        ask=ask,
        labels=", ".join(f"{key}={value}" for key, value in sorted(ask.labels.items())),
        cpu=ask.cpu_m / 1000,
        free_cpu=max(0, *(free.cpu_m for _, free in removed)) / 1000,
        free_memory=max(0, *(free.memory_mib for _, free in removed)),
        free_disk=max(0, *(free.disk_gib for _, free in removed)),
    )
