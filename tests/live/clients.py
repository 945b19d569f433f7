"""The clients people already have, `zun` and `openstack`, as somebody types them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.live.place import environment

FOLDER = Path(__file__).parents[2] / ".venv-clients" / "bin"


class Clients:
    """Both of them, signed in as whom an openrc's variables name."""

    def __init__(self, rc: dict[str, str], **more: str) -> None:
        if not (FOLDER / "zun").exists():
            pytest.skip("the clients: .venv-clients is missing; scripts/bootstrap demo makes it")
        self._environment = (
            environment() | rc | {"PYTHONWARNINGS": "ignore", "COLUMNS": "200"} | more
        )

    def zun(self, *arguments: str, status: int = 0) -> str:
        """What `zun` prints; fails on another exit status."""
        return self._run("zun", *arguments, status=status)

    def openstack(self, *arguments: str, status: int = 0) -> str:
        """What `openstack` prints."""
        return self._run("openstack", *arguments, status=status)

    def appcontainer(self, verb: str, *arguments: str, status: int = 0) -> str:
        """What `openstack appcontainer` prints."""
        return self._run("openstack", "appcontainer", *verb.split(), *arguments, status=status)

    def _run(self, program: str, *arguments: str, status: int) -> str:
        done = subprocess.run(
            [FOLDER / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env=self._environment,
            check=False,
        )
        print(f"$ {program} {' '.join(arguments)}\n{done.stdout}")
        readable(done.stdout)
        assert done.returncode == status, f"{program} {arguments}: {done.returncode} {done.stdout}"
        return done.stdout


def readable(text: str) -> None:
    """Nothing that a person should not see: tracebacks, escaped bytes, secrets, endless lines."""
    assert "Traceback" not in text, text
    assert "ERROR (" not in text or "HTTP 500" not in text, text
    assert not re.search(r"gAAAA[\w-]{20}", text), "a token is printed"
    assert "<dolium" not in text and "object at 0x" not in text, text


def table(text: str) -> dict[str, str]:
    """A two-column table of properties."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 2 and cells[0]:
            found[cells[0]] = "|".join(cells[1:])
    return found


def listing(text: str) -> list[dict[str, str]]:
    """A table with a header."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in map(str.strip, text.splitlines())
        if line.startswith("|")
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]] if rows else []
