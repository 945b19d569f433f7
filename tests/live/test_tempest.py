"""The tests that Zun's own people wrote, unmodified, against a whole Dolium.

Which of them pass, and what the others wait for: docs/reference/compatibility.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import engines
from tests.live import matches
from tests.live.installation import Installation
from tests.live.place import environment

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(480)]

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-tempest" / "bin" / "python"
SIDE_BY_SIDE = Path(__file__).parent / "tempest" / "side_by_side.py"
PACKAGE = "zun_tempest_plugin.tests.tempest.api"
CONTAINER = f"{PACKAGE}.test_containers.TestContainer"
LEGACY = f"{CONTAINER}Legacy"


class Run(NamedTuple):
    """Tests at one range of microversions."""

    lowest: str
    highest: str
    passing: tuple[str, ...]
    """Their full names."""
    every: str
    """What to run when DOLIUM_TEMPEST_ALL is set, as a regular expression."""


def _of(kind: str, names: str) -> tuple[str, ...]:
    return tuple(f"{kind}.test_{name}" for name in names.split())


OLD = """
    create_container list_containers get_container run_container run_container_with_minimal_params
    start_stop_container pause_unpause_container kill_container exec_container logs_container
    update_container rename_container top_container stats_container
    detach_and_attach_network_to_container
"""
"""What passes at any version."""

NEW = """
    rebuild_container run_container_with_requested_host run_container_with_injected_file
    put_and_get_archive_from_container_encoded
"""

RAW = "put_and_get_archive_from_container"
"""For what came before 1.25."""

RUNS = {
    "newest": Run(
        *("1.40", "1.40"),
        passing=(
            *_of(CONTAINER, OLD + NEW),
            f"{PACKAGE}.test_services.TestService.test_service_list",
        ),
        every=r"\.Test(?!ContainerLegacy)",
    ),
    # Below 1.14 its tests of update and rename skip themselves, below 1.12 nothing can be stopped.
    "legacy": Run("1.14", "1.19", passing=_of(LEGACY, OLD + RAW), every=re.escape(LEGACY)),
    "raw": Run(*("1.24", "1.24"), passing=_of(CONTAINER, RAW), every=rf"{re.escape(CONTAINER)}\."),
}
CASES = [(name, test) for name, run in RUNS.items() for test in run.passing]

CONFIGURATION = """\
[DEFAULT]
log_file = {folder}/tempest.log
[oslo_concurrency]
lock_path = {folder}/lock
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
tempest_roles = member
admin_username = {rc[OS_USERNAME]}
admin_password = {rc[OS_PASSWORD]}
admin_project_name = {rc[OS_PROJECT_NAME]}
admin_domain_name = Default
[identity]
uri_v3 = {rc[OS_AUTH_URL]}
auth_version = v3
region = {rc[OS_REGION_NAME]}
[service_available]
neutron = false
nova = false
glance = {glance}
cinder = false
swift = false
zun = true
[container_service]
min_microversion = {run.lowest}
max_microversion = {run.highest}
"""


@pytest.fixture(scope="module")
def results(installation: Installation) -> dict[tuple[str, str], str]:
    """How each test ended, by the name of its run and its own."""
    if not PYTHON.exists():
        pytest.skip("tempest: .venv-tempest is missing; scripts/bootstrap test makes it")
    _images(installation)
    with ThreadPoolExecutor() as beside:
        said = beside.map(lambda name: outcomes(installation, name, RUNS[name]), RUNS)
        found = dict(zip(RUNS, said, strict=True))
    return {(name, test): word for name, told in found.items() for test, word in told.items()}


def outcomes(
    installation: Installation, name: str, run: Run, *, glance: bool = False
) -> dict[str, str]:
    """How each test of a run ended; glance: there is one."""
    folder = installation.place.folder / f"tempest-{name}"
    folder.mkdir()
    (folder / "tempest.conf").write_text(
        CONFIGURATION.format(folder=folder, rc=installation.rc("admin"), run=run, glance=glance)
    )
    wanted = f"^({'|'.join(map(re.escape, run.passing))})$"
    if os.environ.get("DOLIUM_TEMPEST_ALL"):
        wanted = run.every
    variables = {"PYTHONWARNINGS": "ignore", "TEMPEST_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [PYTHON, SIDE_BY_SIDE, wanted],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        env=environment() | variables,
        check=False,
    )
    print(f"at {run.lowest} to {run.highest}:\n{done.stdout}")
    assert done.returncode == 0, done.stdout
    return dict(_outcomes(done.stdout))


def _outcomes(said: str) -> Iterator[tuple[str, str]]:
    """Names and outcomes among what else is said."""
    for line in said.splitlines():
        if line.startswith('{"name"'):
            told = json.loads(line)
            yield told["name"], told["outcome"]


def _images(installation: Installation) -> None:
    """nginx as the demo has it; where it can be neither pulled nor built, something like it."""
    command = [sys.executable, str(ROOT / "demo" / "images"), "--build", "nginx"]
    host = {"DOCKER_HOST": f"unix://{installation.socket}"}
    with installation.place.outside():
        made = subprocess.run(command, env=environment() | host, timeout=240, check=False)
    if made.returncode:
        engines.load_image(str(installation.socket), "nginx:latest")


@pytest.mark.parametrize(("run", "test"), CASES, ids=lambda text: text.rpartition(".")[2])
def test_passes(results: dict[tuple[str, str], str], run: str, test: str) -> None:
    assert results[run, test] == "ok"


def test_nothing_is_left(results: dict[tuple[str, str], str], installation: Installation) -> None:
    assert results
    matches.soon(installation, seconds=90)
