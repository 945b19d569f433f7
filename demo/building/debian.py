"""Fetches Debian packages with the machine's own apt sources and keys, installing nothing.

apt is given a package database of its own that is empty, so it fetches everything the wanted
packages depend on. Packages that only maintainer scripts need are entered there as installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

# The version is higher than any epoch in use, or apt would "upgrade" what is assumed.
INSTALLED = """Package: {name}
Status: install ok installed
Version: 9999:1
Architecture: {architecture}
Multi-Arch: allowed
Maintainer: none <none@localhost>
Description: not needed in an image

"""


class DebianError(Exception):
    """apt is missing or could not fetch a package; the text is apt's own."""


def fetch(folder: Path, packages: Sequence[str], assumed: Iterable[str] = ()) -> list[Path]:
    """Download packages and what they depend on into `folder`; return the .deb files.

    `assumed` are packages that count as installed. Raise DebianError with apt's words.
    """
    if not shutil.which("apt-get"):
        raise DebianError("building images needs apt-get (Debian or Ubuntu)")
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    architecture = _run("dpkg", "--print-architecture").strip()
    stanzas = (INSTALLED.format(name=name, architecture=architecture) for name in assumed)
    (folder / "status").write_text("".join(stanzas))
    options = [
        f"Dir::State::status={folder}/status",
        f"Dir::Cache={folder}",
        f"Dir::Cache::archives={archives}",
        "APT::Install-Recommends=0",
        "APT::Sandbox::User=root",
        "Acquire::Retries=2",
    ]
    command = ["apt-get", "-qq", "-y", "--download-only"]
    command += [word for option in options for word in ("-o", option)]
    try:
        _run(*command, "install", *packages)
    except DebianError:
        # A fresh machine has no package lists yet, an old one has lists of files that are gone.
        _run("apt-get", "-qq", "update")
        _run(*command, "install", *packages)
    return sorted(archives.glob("*.deb"))


def recommended(package: str, prefix: str) -> list[str]:
    """Packages with names that begin with `prefix` among those `package` recommends."""
    lines = _run("apt-cache", "depends", package).splitlines()
    names = [line.split()[-1] for line in lines if line.strip().startswith("Recommends:")]
    return [name for name in names if name.startswith(prefix)]


def _run(*command: str) -> str:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise DebianError(f"{command[0]}: " + "; ".join(words))
    return done.stdout
