"""The units for systemd: one for each role, which systemd itself finds nothing wrong with."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolium.cli import main
from dolium.cli.serve import ROLES

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.iterdir())
INSTALLED = "/opt/dolium/bin/dolium"


def read(path: Path) -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    return unit["Service"]


def test_each_role_has_one() -> None:
    assert {path.name for path in UNITS} == {f"dolium-{role}.service" for role in ROLES}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_starts_its_role_again_and_again(path: Path) -> None:
    service = read(path)
    program, *words = service["ExecStart"].split()
    assert program == INSTALLED
    arguments = main._parser().parse_args(words)
    assert f"dolium-{arguments.role}.service" == path.name
    assert (service["Type"], service["Restart"]) == ("notify", "always")


def test_only_an_agent_is_root_and_leaves_its_engine_alone() -> None:
    for path in UNITS:
        service = read(path)
        if path.name == "dolium-agent.service":
            assert "User" not in service and service["KillMode"] == "process"
        else:
            assert service["User"] == "dolium" and service["NoNewPrivileges"] == "yes"
            assert "KillMode" not in service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    here = str(Path(sys.executable).with_name("dolium"))
    copies = []
    for path in UNITS:
        copies.append(tmp_path / path.name)
        copies[-1].write_text(path.read_text().replace(INSTALLED, here))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if "dolium-" in line] == []  # others' units may be as they like
