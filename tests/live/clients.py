"""The clients people already have, `zun` and `openstack`, as somebody types them."""

from __future__ import annotations

import json
import re
import subprocess
import weakref
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.live.place import environment

FOLDER = Path(__file__).parents[2] / ".venv-clients" / "bin"
WARM = Path(__file__).with_name("warm.py")


class Said(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    output: str


class Clients:
    """Both of them, signed in as whom an openrc's variables name. Not for several threads."""

    def __init__(self, rc: dict[str, str], **more: str) -> None:
        if not (FOLDER / "zun").exists():
            pytest.skip("the clients: .venv-clients is missing; scripts/bootstrap demo makes it")
        self._environment = (
            environment() | rc | {"PYTHONWARNINGS": "ignore", "COLUMNS": "200"} | more
        )
        self._warm = subprocess.Popen(
            [FOLDER / "python", WARM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        weakref.finalize(self, _end, self._warm)

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
        said = self.say(program, *arguments)
        readable(said.output)
        assert said.status == status, f"{program} {arguments}: {said.status} {said.output}"
        return said.output

    def say(
        self, program: str, *arguments: str, folder: Path = FOLDER, rc: dict[str, str] | None = None
    ) -> Said:
        """Run a command line in a folder, whatever comes of it; rc: signed in as somebody else."""
        request = {
            "program": program,
            "arguments": arguments,
            "environment": self._environment | (rc or {}),
            "folder": str(folder),
        }
        assert self._warm.stdin and self._warm.stdout
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        said = Said(**json.loads(self._warm.stdout.readline()))
        print(f"$ {program} {' '.join(arguments)}\n{said.output}")
        return said


def _end(warm: subprocess.Popen[str]) -> None:
    warm.communicate(timeout=120)


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
