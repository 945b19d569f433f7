"""The layer contracts of pyproject.toml bite: each forbidden import is found in a toy package.

That the real package keeps them is checked by `make lint` (lint-imports).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "cli api agent wsproxy beside control placing store drivers link clients conf "
    "model errors undo priority"
).split()
ALLOWED = [
    ("cli", "dolium.api"),
    ("cli", "dolium.agent"),
    ("cli", "dolium.beside"),
    ("api", "dolium.control"),
    ("api", "keystonemiddleware"),
    ("wsproxy", "dolium.control"),
    ("agent", "dolium.drivers"),
    ("agent", "dolium.link"),
    ("control", "dolium.store"),
    ("control", "dolium.placing"),
    ("control", "dolium.drivers"),
    ("placing", "dolium.model"),
    ("placing", "dolium.errors"),
    ("store", "sqlalchemy"),
    ("drivers", "dolium.clients"),
    ("clients", "keystoneauth1"),
    ("errors", "dolium.model"),
    ("undo", "dolium.errors"),
]
FORBIDDEN = [
    ("api", "dolium.cli"),
    ("api", "dolium.agent"),
    ("api", "dolium.wsproxy"),
    ("agent", "dolium.beside"),
    ("agent", "dolium.control"),
    ("agent", "dolium.store"),
    ("control", "dolium.agent"),
    ("placing", "dolium.store"),
    ("placing", "dolium.conf"),
    ("placing", "sqlalchemy"),
    ("drivers", "dolium.link"),
    ("drivers", "dolium.store"),
    ("conf", "dolium.clients"),
    ("model", "dolium.conf"),
    ("model", "socket"),
    ("model", "subprocess"),
    ("api", "keystoneauth1"),
    ("control", "sqlalchemy"),
]

Imports = list[tuple[str, str]]


def lint(folder: Path, imports: Imports, more: tuple[str, ...] = ()) -> tuple[bool, str]:
    """Writes a package with these imports, each in a module of its own, and lints it."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in (*PACKAGES, *more):
        (folder / "dolium" / package).mkdir(parents=True)
        (folder / "dolium" / package / "__init__.py").touch()
    (folder / "dolium/__init__.py").touch()
    for number, (package, imported) in enumerate(imports):
        (folder / "dolium" / package / f"module{number}.py").write_text(f"import {imported}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_what_the_layers_allow(tmp_path: Path) -> None:
    kept, report = lint(tmp_path, ALLOWED)
    assert kept, report


def test_what_the_layers_forbid(tmp_path: Path) -> None:
    _, report = lint(tmp_path, FORBIDDEN)
    unseen = [
        (package, imported)
        for number, (package, imported) in enumerate(FORBIDDEN)
        if f"dolium.{package}.module{number} -> {imported}" not in report
    ]
    assert unseen == [], report


def test_an_agent_reaches_no_database_through_others(tmp_path: Path) -> None:
    kept, report = lint(tmp_path, [("agent", "dolium.link.module1"), ("link", "dolium.store")])
    assert not kept
    assert "dolium.agent is not allowed to import dolium.store" in report


@pytest.mark.parametrize("package", ["helpers", "web"])
def test_a_package_without_a_layer_is_noticed(tmp_path: Path, package: str) -> None:
    kept, report = lint(tmp_path, [], more=(package,))
    assert not kept
    assert package in report
