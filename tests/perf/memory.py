"""Resident memory of the idle all-in-one, over a process importing the libraries it stands on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable

from tests.perf import wire
from tests.perf.figure import Figure, Samples, raw
from tests.perf.lab import Lab

LIBRARIES = ("falcon", "msgspec", "sqlalchemy", "oslo_config.cfg", "keystonemiddleware.auth_token")
ROUNDS = 2
SETTLE_S = 3.0
"""After a start, some threads still do their first work."""


def measure(lab: Lab) -> Iterable[Figure]:
    """Keystone and the engine are processes of their own and don't count."""
    installation = lab.installation
    installation.stop()
    mine, theirs = [], []
    for _ in range(ROUNDS):
        installation.start()
        installation.ready()
        time.sleep(SETTLE_S)
        mine.append(wire.resident_mib(installation.pid))
        installation.stop()
        theirs.append(_floor())
    installation.start()
    installation.ready()
    ours, floor = Samples(mine), Samples(theirs)
    yield Figure(
        name="idle-memory",
        what="Resident memory of the idle all-in-one without Keystone and engine, over a process "
        f"that imports {', '.join(LIBRARIES)}",
        ours=f"{ours.p50:.1f} MiB",
        peer=f"imports only: {floor.p50:.1f} MiB",
        value=ours.p50 / floor.p50,
        target=1.2,
        raw=raw(ours_mib=mine, peer_mib=theirs),
    )


def _floor() -> float:
    source = f"import {', '.join(LIBRARIES)}, sys; print(flush=True); sys.stdin.read()"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        resident = wire.resident_mib(process.pid)
        process.communicate()
    return resident
