"""The tests that Zun's own people wrote, unmodified, against a whole Dolium.

Which of them pass, and what the others wait for: docs/reference/compatibility.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import engines
from tests.live import matches
from tests.live.installation import Installation
from tests.live.place import environment

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(480)]

ROOT = Path(__file__).parents[2]
TEMPEST = ROOT / ".venv-tempest" / "bin" / "tempest"
PREFIX = "zun_tempest_plugin.tests.tempest.api.test_containers.TestContainer"
WORKERS = 2
"""Most of the time is containers that do not end before they are killed, 10 s each."""

PASSING = """
    create_container list_containers get_container run_container run_container_with_minimal_params
    run_container_with_requested_host run_container_with_injected_file
    start_stop_container pause_unpause_container kill_container exec_container logs_container
    update_container rename_container top_container stats_container rebuild_container
    detach_and_attach_network_to_container put_and_get_archive_from_container_encoded
""".split()

OTHERS = ["zun_tempest_plugin.tests.tempest.api.test_services.TestService.test_service_list"]

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
min_microversion = 1.40
max_microversion = 1.40
"""

DONE = re.compile(r"^\{\d+\} (\S+?)(?:\[[^\]]*\])? \[[^\]]*\] \.\.\. (\w+)(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def results(installation: Installation) -> dict[str, str]:
    """The outcome of each test that was run, and of all when DOLIUM_TEMPEST_ALL is set."""
    names = "|".join(PASSING)
    others = "|".join(map(re.escape, OTHERS))
    wanted = f"^({re.escape(PREFIX)}.test_({names})|{others})(\\[|$)"
    if os.environ.get("DOLIUM_TEMPEST_ALL"):
        wanted = r"^zun_tempest_plugin\.(?!.*Legacy)"
    return run(installation, wanted)


def run(installation: Installation, wanted: str, *, glance: bool = False) -> dict[str, str]:
    """The outcome of each test whose name matches; glance: there is one."""
    if not TEMPEST.exists():
        pytest.skip("tempest: .venv-tempest is missing; scripts/bootstrap test makes it")
    _images(installation)
    folder = installation.place.folder / "tempest"
    folder.mkdir()
    (folder / "tempest.conf").write_text(
        CONFIGURATION.format(folder=folder, rc=installation.rc("admin"), glance=str(glance).lower())
    )
    found = next((TEMPEST.parents[1] / "lib").glob("python3*/site-packages"))
    # Without a group_regex the tests of one class are shared out among the workers.
    (folder / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={found}/tempest/test_discover\ntop_dir={found}\n"
    )
    workers = ("--concurrency", str(WORKERS))
    done = subprocess.run(
        [str(TEMPEST), "run", "--config-file", "tempest.conf", "--regex", wanted, *workers],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        env=environment() | {"PYTHONWARNINGS": "ignore"},
        check=False,
    )
    print(done.stdout)
    results = {name: f"{word}{rest}" for name, word, rest in DONE.findall(done.stdout)}
    assert results, done.stdout
    return results


def _images(installation: Installation) -> None:
    """nginx as the demo has it; where it can be neither pulled nor built, something like it."""
    command = [sys.executable, str(ROOT / "demo" / "images"), "--build", "nginx"]
    host = {"DOCKER_HOST": f"unix://{installation.socket}"}
    with installation.place.outside():
        made = subprocess.run(command, env=environment() | host, timeout=240, check=False)
    if made.returncode:
        engines.load_image(str(installation.socket), "nginx:latest")


@pytest.mark.parametrize("name", PASSING)
def test_container(results: dict[str, str], name: str) -> None:
    assert results[f"{PREFIX}.test_{name}"] == "ok"


@pytest.mark.parametrize("name", OTHERS)
def test_other(results: dict[str, str], name: str) -> None:
    assert results[name] == "ok"


def test_nothing_is_left(results: dict[str, str], installation: Installation) -> None:
    assert results
    matches.soon(installation, seconds=90)
