"""From `dolium up` to the first authenticated answer, over Keystone's own start and first token."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

from dolium.beside.keystone import VARIABLES
from dolium.beside.process import environment
from tests.perf import wire
from tests.perf.figure import Figure, alternate, ratio, raw
from tests.perf.installation import Installation
from tests.perf.lab import Lab

ROUNDS = 7


def measure(lab: Lab) -> Iterable[Figure]:
    """Neither side makes anything for the first time; both begin with nothing running, and with
    nothing configured.
    """
    lab.rest()
    installation = Installation(lab.folder / "restart", configured=False)
    installation.start()
    installation.ready()
    installation.stop()

    def ours() -> float:
        start = time.perf_counter()
        installation.start()
        installation.ready()
        took = time.perf_counter() - start
        installation.stop()
        return took

    mine, theirs = alternate(ROUNDS, ours, lambda: _keystone(installation))
    lab.wake()
    yield Figure(
        name="second-start",
        what="`dolium up`, second start, to the first authenticated answer, over Keystone's own "
        "start and first token",
        ours=f"{mine.p50:.2f} s",
        peer=f"Keystone alone: {theirs.p50:.2f} s",
        value=ratio(mine, theirs),
        target=1.2,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _keystone(installation: Installation) -> float:
    """The same Keystone on the same files, without Dolium."""
    folder = str(installation.state / "keystone")
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "dolium.beside.keystone_server", "--config", folder],
        env=environment() | VARIABLES,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answered() -> bool:
        try:
            return bool(installation.token("admin-openrc"))
        except (OSError, wire.Refused):
            return False

    try:
        wire.wait(answered, "a token", step_s=0.01)
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(30)
