"""The demo commands' own logic, on programs that stand in for Dolium and the clients."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parent / "stubs"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real scripts, and stubs where environments would be."""
    shutil.copytree(ROOT / "demo", tmp_path / "demo")
    for folder in (".venv", ".venv-clients"):
        shutil.copytree(STUBS, tmp_path / folder / "bin")
    (tmp_path / "state").mkdir()
    return tmp_path


def environment(checkout: Path, **more: str) -> dict[str, str]:
    path = f"{checkout}/.venv-clients/bin:/usr/bin:/bin"
    return {"PATH": path, "DOLIUM_STATE_DIR": f"{checkout}/state", **more}


def demo(checkout: Path, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "demo" / script],
        env=environment(checkout, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )


def commands(output: str) -> list[str]:
    return [line.removeprefix("$ ").strip() for line in output.splitlines() if line[:2] == "$ "]


def test_run_shows_the_first_flow(checkout: Path) -> None:
    done = demo(checkout, "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert commands(done.stdout) == [
        "zun run --name test-container cirros ping 10.224.0.1",
        "zun logs test-container",
        "zun exec test-container ls -a",
        "openstack appcontainer list",
    ]
    assert "images cirros, engine unix:///run/stub.sock" in done.stdout
    assert "64 bytes from" in done.stdout
    assert "openstack was asked: appcontainer list, as demo" in done.stdout
    assert f"{checkout}/state/clouds.yaml" in done.stdout
    assert "\x1b" not in done.stdout


def test_run_deletes_what_an_earlier_run_left(checkout: Path) -> None:
    demo(checkout, "run")
    done = demo(checkout, "run")
    assert done.returncode == 0
    assert "Dolium is running already." in done.stdout
    assert "There is a test-container from an earlier run" in done.stdout
    assert commands(done.stdout)[0] == "zun delete --stop 0000-0-test-container"


def test_run_tells_why_a_container_failed(checkout: Path) -> None:
    done = demo(checkout, "run", REASON="no host has room")
    assert done.returncode == 1
    assert "test-container is in status Error: no host has room" in done.stderr


def test_run_tells_why_dolium_did_not_start(checkout: Path) -> None:
    done = demo(checkout, "run", BROKEN="1")
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert commands(done.stdout) == []


def test_an_interrupted_start_leaves_no_dolium(checkout: Path) -> None:
    running = subprocess.Popen(
        [checkout / "demo" / "run"],
        env=environment(checkout, BROKEN="never"),
        stdout=subprocess.DEVNULL,
    )
    hung = checkout / "state" / "hung"
    deadline = time.monotonic() + 30
    while not (hung.exists() and hung.read_text()):
        assert time.monotonic() < deadline, "the stub was not started"
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(hung.read_text()), 0)


def test_wordpress_gets_the_address_of_its_database(checkout: Path) -> None:
    done = demo(checkout, "wordpress")
    assert (done.returncode, done.stderr) == (0, "")
    assert commands(done.stdout) == [
        "zun run --name mydb --environment MYSQL_DATABASE=wordpress"
        " --environment MYSQL_ROOT_PASSWORD=rootpass mysql:latest",
        "zun show mydb",
        "zun run --name myblog --environment WORDPRESS_DB_HOST=10.224.0.5"
        " --environment WORDPRESS_DB_USER=root --environment WORDPRESS_DB_PASSWORD=rootpass"
        " wordpress:latest",
        "curl -sSL http://10.224.0.6/",
    ]
    assert "HTTP/1.1 200 OK\n<title>WordPress</title>" in done.stdout


def test_wordpress_that_answers_with_an_error_fails_the_demo(checkout: Path) -> None:
    done = demo(checkout, "wordpress", ANSWER="500 Internal Server Error")
    assert done.returncode == 1
    assert "HTTP/1.1 500" in done.stdout


def test_an_unknown_image_is_refused() -> None:
    done = subprocess.run(
        [ROOT / "demo" / "images", "cirrus"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown image: cirrus:latest" in done.stderr


def test_scripts_pass_shellcheck() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts = [ROOT / "demo" / name for name in ("run", "wordpress", "session.sh")]
    scripts += sorted((ROOT / "demo" / "building" / "files").glob("*/usr/local/bin/*"))
    done = subprocess.run(
        ["shellcheck", "-x", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
