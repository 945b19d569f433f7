"""Dolium as people install it: from wheels of this tree and of an earlier commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SINCE = "dolium/cli/serve.py"
"""What an earlier commit must have to be of use."""


class Missing(Exception):
    """Why there is no earlier Dolium here."""


def previous() -> str:
    """The commit before this one, or the one that DOLIUM_PREVIOUS names; raises Missing."""
    named = os.environ.get("DOLIUM_PREVIOUS", "HEAD~1")
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        raise Missing("there is no git here, so no earlier commit")
    if _git("cat-file", "-e", f"{named}:{SINCE}").returncode:
        raise Missing(f"{named} is not there, or has no `dolium serve` yet")
    return _git("rev-parse", "--short", named).stdout.decode().strip()


def unpacked(commit: str, folder: Path) -> Path:
    """Its files."""
    folder.mkdir()
    held = _git("archive", commit)
    assert held.returncode == 0, held.stderr
    subprocess.run(["tar", "-x", "-C", folder], input=held.stdout, check=True)
    return folder


def installed(tree: Path, folder: Path) -> str:
    """Build a tree's wheel and install it with what its lock names; returns its `dolium`."""
    uv = shutil.which("uv", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
    assert uv is not None
    environment, locked = folder / "environment", folder / "locked.txt"
    folder.mkdir()
    _run(tree, uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", folder)
    (wheel,) = folder.glob("*.whl")
    export = ["export", "--quiet", "--frozen", "--no-emit-project", "--no-hashes"]
    locked.write_text(_run(tree, uv, *export, "--extra", "mariadb"))
    _run(tree, uv, "venv", "--quiet", "--python", sys.executable, environment)
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        environment / "bin/python",
    ]
    _run(tree, *install, "--constraint", locked, f"dolium[mariadb] @ file://{wheel}")
    return str(environment / "bin/dolium")


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    # The folder may belong to somebody else than who runs the tests.
    command = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", *words]
    return subprocess.run(command, capture_output=True, check=False)


def _run(tree: Path, *command: str | Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=tree, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
