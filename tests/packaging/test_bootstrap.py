"""What scripts/bootstrap installs where, on stand-ins for apt, dpkg and Python's environments."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = (
    "python3-venv iproute2 iptables nftables util-linux mount kmod e2fsprogs busybox-static procps"
    " curl"
).split()
UV = next(
    line.partition("=")[2]
    for line in (ROOT / "scripts/bootstrap").read_text().splitlines()
    if line.startswith("readonly UV_VERSION")
)

STUBS = {
    "id": 'echo "${FAKE_UID:-0}"',
    "curl": 'test -n "${FAKE_ENGINE_ANSWERS:-}"',
    "sleep": "echo waited >>log",
    "dpkg-query": """
        for package; do
            case " $FAKE_INSTALLED " in *" $package "*) printf 'installed:%s ' "$package" ;; esac
        done""",
    "apt-get": """
        echo "apt-get $*" >>log
        if [ -s locked ]; then
            sed -i '1d' locked
            echo 'E: Could not get lock /var/lib/apt/lists/lock' >&2
            exit 100
        fi
        case "$*" in *update*) exit "${FAKE_UPDATE:-0}" ;; esac
        exit "${FAKE_INSTALL:-0}" """,
    "apt-cache": """
        for package; do :; done
        case " ${FAKE_UNKNOWN:-} " in *" $package "*) ;; *) echo "Package: $package" ;; esac""",
}


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Machine:
    """A checkout beside stand-ins, and what was asked of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        projects = (f"tests/live/{name}" for name in ("tempest", "placement", "compute"))
        for name in ("scripts", "clients", *projects):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".venv"))
        for name in ("pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, folder)
        for name, text in STUBS.items():
            program(folder / "stubs" / name, text)
        for name in ("bash", "dirname", "basename", "cat", "sed", "grep", "mktemp", "rm", "flock"):
            self.borrow(name)
        for name in ("sha256sum", "env", "mkdir"):
            self.borrow(name)
        program(folder / ".venv/bin/python", "exit 0")
        (folder / ".venv-clients").mkdir()
        (folder / ".venv-tempest").mkdir()
        (folder / ".venv-placement").mkdir()
        (folder / ".venv-nova").mkdir()
        program(
            folder / ".venv/bin/uv",
            f'if [ "$1" = --version ]; then echo "uv {UV} (stub)"; exit; fi; echo "uv $*" >>log',
        )

    def borrow(self, name: str) -> None:
        real = shutil.which(name)
        assert real is not None
        (self.folder / "stubs" / name).symlink_to(real)

    def bootstrap(self, what: str = "run", **more: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "log").write_text("")
        environment = {"PATH": f"{self.folder}/stubs", "FAKE_INSTALLED": " ".join(BASE), **more}
        return subprocess.run(
            [self.folder / "scripts/bootstrap", what],
            cwd="/",
            env={"PYTHON": "/usr/bin/true", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    @property
    def installed(self) -> set[str]:
        """Packages apt-get was told to install, in any call."""
        words = [line.split() for line in self.asked if " install " in line]
        return {
            word for line in words for word in line[line.index("--no-install-recommends") + 1 :]
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_missing_packages_are_installed_after_an_update(machine: Machine) -> None:
    done = machine.bootstrap(FAKE_INSTALLED="util-linux mount")
    assert done.returncode == 0, done.stderr
    assert machine.installed == {*BASE, "docker.io"} - {"util-linux", "mount"}
    assert "update" in machine.asked[0]


def test_nothing_is_asked_of_apt_when_nothing_is_missing(machine: Machine) -> None:
    assert machine.bootstrap(FAKE_INSTALLED=" ".join([*BASE, "docker.io"])).returncode == 0
    assert [line for line in machine.asked if line.startswith("apt")] == []


@pytest.mark.parametrize("package", ["docker-ce", "moby-engine"])
def test_no_second_engine_beside_an_installed_one(machine: Machine, package: str) -> None:
    machine.bootstrap(FAKE_INSTALLED=f"curl {package}")
    assert "procps" in machine.installed
    assert "docker.io" not in machine.installed


def test_no_second_engine_beside_one_that_answers(machine: Machine) -> None:
    machine.bootstrap(FAKE_INSTALLED="curl", FAKE_ENGINE_ANSWERS="yes")
    assert "docker.io" not in machine.installed


def test_no_second_engine_beside_a_dockerd(machine: Machine) -> None:
    program(machine.folder / "stubs/dockerd", "exit 1")
    machine.bootstrap(FAKE_INSTALLED="curl")
    assert "docker.io" not in machine.installed


def test_a_lone_client_is_no_engine(machine: Machine) -> None:
    program(machine.folder / "stubs/docker", "exit 0")
    machine.bootstrap()
    assert machine.installed == {"docker.io"}


def test_tests_go_on_without_what_a_distribution_lacks(machine: Machine) -> None:
    done = machine.bootstrap("test", FAKE_UNKNOWN="runsc")
    assert done.returncode == 0, done.stderr
    assert "podman" in machine.installed
    assert "runsc" not in machine.installed
    assert "no package runsc" in done.stderr


def test_a_lock_of_somebody_else_is_waited_for(machine: Machine) -> None:
    (machine.folder / "locked").write_text("once\ntwice\n")
    assert machine.bootstrap().returncode == 0
    assert machine.asked.count("waited") == 2


def test_a_failed_update_does_not_stop_what_can_be_installed(machine: Machine) -> None:
    assert machine.bootstrap(FAKE_UPDATE="100").returncode == 0
    assert machine.installed == {"docker.io"}


def test_a_failed_installation_ends_it(machine: Machine) -> None:
    assert machine.bootstrap(FAKE_INSTALL="100").returncode != 0
    assert [line for line in machine.asked if line.startswith("uv")] == []


@pytest.mark.parametrize("what", ["run", "demo"])
def test_without_root_one_sentence_says_what_to_type(machine: Machine, what: str) -> None:
    done = machine.bootstrap(what, FAKE_UID="1000", ASKED=f"make {what}")
    assert done.returncode != 0
    assert done.stderr.endswith(f"root: sudo make {what}\n")
    assert len(done.stderr.splitlines()) == 1
    assert machine.asked == []


def test_tests_run_without_root_and_say_what_they_lack(machine: Machine) -> None:
    done = machine.bootstrap("test", FAKE_UID="1000", ASKED="make test")
    assert done.returncode == 0, done.stderr
    assert "docker.io" in done.stderr
    assert "sudo make test" in done.stderr
    assert any(line.startswith("uv sync") for line in machine.asked)


def test_environments_are_made_from_the_locks_once(machine: Machine) -> None:
    machine.bootstrap("test")
    synced = [line for line in machine.asked if line.startswith("uv sync")]
    assert len(synced) == 5
    assert all("--frozen" in line for line in synced)
    assert "--extra aio --extra mariadb --extra postgresql --group dev" in synced[0]
    for what in ("test", "demo", "run"):
        machine.bootstrap(what)
        assert [line for line in machine.asked if line.startswith("uv")] == []


def test_a_new_lock_completes_the_environment(machine: Machine) -> None:
    machine.bootstrap("run")
    with (machine.folder / "uv.lock").open("a") as lock:
        lock.write("\n")
    machine.bootstrap("run")
    assert [line for line in machine.asked if line.startswith("uv sync")]


def test_another_python_is_refused(machine: Machine) -> None:
    done = machine.bootstrap(PYTHON="/usr/bin/false")
    assert done.returncode != 0
    assert "PYTHON=" in done.stderr


def test_another_uv_is_replaced_by_the_pinned_one(machine: Machine) -> None:
    program(machine.folder / ".venv/bin/uv", 'echo "uv 0.1.0"')
    program(machine.folder / ".venv/bin/python", 'echo "python $*" >>log')
    machine.bootstrap("run")
    assert any(f"install --quiet --disable-pip-version-check uv=={UV}" in x for x in machine.asked)
