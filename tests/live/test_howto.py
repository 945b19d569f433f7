"""The how-to of a cloud of many hosts, followed literally from its first line to its last."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live import clients, howto, place, wheels
from tests.live.place import until

PAGE = wheels.ROOT / "docs/howto/a-cloud-of-many-hosts.md"


def test_every_command_has_a_place() -> None:
    typed = list(howto.commands(PAGE.read_text()))
    assert {each.where.rstrip("123") for each in typed} == {"control", "host", "db", "lb", "admin"}
    assert any(each.text.endswith("\nEOF") for each in typed)


@pytest.mark.live
@pytest.mark.soak
def test_followed_literally() -> None:
    if why := place.missing() or howto.Server.missing():
        pytest.skip(f"seven machines: {why}")
    if not (clients.FOLDER / "openstack").exists() or not Path("/usr/sbin/haproxy").exists():
        pytest.skip("needs haproxy and the clients")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dolium-howto-")))
        folder.chmod(0o755)  # the user dolium runs what is installed there
        wheels.installed(wheels.ROOT, folder / "installed")
        machines = howto.Machines(folder / "installed" / "environment", folder, stack)
        for typed in howto.commands(PAGE.read_text()):
            machines.type(typed)
        until(lambda: set(machines.hosts().values()) == {"up"}, "both hosts are there", step=1)
        until(lambda: machines.status("hello") == "Running", "it runs to the end", step=1)
