"""What a warm all-in-one must not have loaded: none of it is cheap, none of it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.perf.figure import Figure
from tests.perf.installation import Owned
from tests.perf.lab import Lab

BANNED = (
    "eventlet",
    "oslo_messaging",
    "openstack",
    "docker",
    "sqlalchemy.orm",
    "alembic",
    "cryptography",
    # The next two are imported, and loaded when somebody uses them: see dolium/cli/spared.py.
    "psutil._common",
    "more_itertools.more",
    "dolium.link.certificates",  # cryptography's X.509
    "dolium.link.handshake",
    "dolium.link.https",
)


def found(names: Iterable[str]) -> list[str]:
    """Those of the loaded modules that are banned, or belong to a package that is."""
    return sorted(
        {banned for name in names for banned in BANNED if f"{name}.".startswith(f"{banned}.")}
    )


def measure(lab: Lab) -> Iterable[Figure]:
    """Start it with Python telling each import, use it, and read what it told."""
    installation = lab.installation
    installation.stop()
    told = lab.folder / "imports"
    installation.start(python=("-X", "importtime"), log=told)
    try:
        installation.ready()
        owned = Owned(installation.client("admin-openrc"))
        uuid = owned.create("imports", run=True)
        owned.until(uuid, "Running")
        owned.delete(uuid)
        owned.gone(uuid)
    finally:
        installation.stop()
    loaded = _loaded(told)
    installation.start()
    installation.ready()
    bad = found(loaded)
    yield Figure(
        name="imports",
        what=f"Modules of {', '.join(BANNED)} that a warm all-in-one has loaded",
        ours=", ".join(bad) or f"none of {len(loaded)} modules",
        peer="none: a budget",
        value=len(bad),
        target=0,
        unit="modules",
    )


def _loaded(told: Path) -> set[str]:
    """Module names from lines like `import time:  312 |  1201 |   falcon.app`."""
    lines = told.read_text(errors="replace").splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    if "falcon" not in names:
        raise RuntimeError(f"Python did not tell what it imported; see {told}")
    return names
