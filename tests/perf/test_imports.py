"""The all-in-one loads nothing heavy that it does not need, before and while it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.perf import population
from tests.perf.imports import found

SOURCE = """
import sys
from pathlib import Path
from dolium.cli import spared
spared.spare()
import dolium.cli.up
import dolium.cli.roles
from keystonemiddleware import auth_token
from tests.perf import serving
from wsgiref.util import setup_testing_defaults
application = serving.dolium(Path(sys.argv[1]))
said = []
def ask(path):
    environ = {"PATH_INFO": path, "HTTP_X_AUTH_TOKEN": serving.TOKEN,
               "HTTP_OPENSTACK_API_VERSION": "container 1.40"}
    setup_testing_defaults(environ)
    b"".join(application(environ, lambda status, *_: said.append(status)))
ask("/v1/containers")
ask("/v1/containers/shop-0")
assert said == ["200 OK"] * 2, said
print(*sys.modules)
"""


def test_a_warm_service_loads_nothing_heavy(tmp_path: Path) -> None:
    population.running(tmp_path / "db", hosts=1, each=2)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SOURCE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "falcon" in loaded
    assert found(loaded) == []


AGENT = """
import sys
from dolium.cli import main, serve
from dolium.cli.machine import Host, engine_of
from dolium.cli.state import State
from dolium.drivers import load
from dolium.link.https_agent import HostEnd
load("binder", "bridge")
load("engine", "docker")
print(*sys.modules)
"""


def test_an_agent_loads_nothing_of_the_control_side() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AGENT],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "cheroot" in loaded
    assert not loaded & {
        "sqlalchemy",
        "falcon",
        "cryptography",
        "keystoneauth1",
        "keystonemiddleware",
    }


def test_a_package_is_found_by_its_parts() -> None:
    assert found(["eventlet.green.os", "dockerfile", "sqlalchemy.ormish"]) == ["eventlet"]
    assert found(["sqlalchemy", "sqlalchemy.orm.session"]) == ["sqlalchemy.orm"]
