"""The wheel holds all of the service and starts from a clean environment, far from this folder."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> str:
    found = shutil.which("uv", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
    if found is None:
        pytest.skip("there is no uv; `make test` installs one")
    return found


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", out)
    (built,) = out.glob("*.whl")
    return built


def test_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    beside = {name.partition(".data/data/")[2] for name in inside if ".data/data/" in name}
    held = {name for name in inside if ".data/data/" not in name}
    written = {str(path.relative_to(ROOT)) for path in (ROOT / "dolium").rglob("*.*")}
    assert {name for name in written if "__pycache__" not in name} <= held
    assert {name.split("/")[0] for name in held} == {"dolium"}
    units = {f"share/dolium/systemd/{path.name}" for path in (ROOT / "systemd").iterdir()}
    assert beside == {"share/dolium/dolium.conf.sample", *units}


def test_source_holds_what_the_wheel_is_made_of(uv: str, tmp_path: Path) -> None:
    run(uv, "build", "--quiet", "--sdist", "--python", sys.executable, "--out-dir", tmp_path)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    assert {f"systemd/{path.name}" for path in (ROOT / "systemd").iterdir()} <= held
    assert "docs/reference/dolium.conf.sample" in held


def test_wheel_runs_from_a_clean_environment(uv: str, wheel: Path, tmp_path: Path) -> None:
    locked = run(
        uv, "export", "--quiet", "--frozen", "--extra", "aio", "--no-emit-project", "--no-hashes"
    )
    (tmp_path / "locked.txt").write_text(locked)
    environment = tmp_path / "environment"
    run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    run(
        *(uv, "pip", "install", "--quiet", "--python", environment / "bin/python"),
        *("--constraint", tmp_path / "locked.txt", f"dolium[aio] @ file://{wheel}"),
    )
    assert "usage" in run(environment / "bin/dolium", "--help", cwd=tmp_path).lower()
    assert (environment / "bin/keystone-manage").exists()
