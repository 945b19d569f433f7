"""A Docker Engine of our own, for real: containers outlive it, and it is found again."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dolium.beside import errors
from dolium.beside.engine import Engine
from dolium.beside.process import look
from tests.engines import missing, rootfs, wait

PATIENCE = 90.0
_WHY = missing("dockerd", "containerd", "runc", "docker", "nft", "nsenter")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(_WHY is not None, reason=f"own engine: {_WHY}"),
]

NAMESPACE = """
ip link set lo up && mkdir -p /run/docker /run/containerd /etc/docker
for folder in /run/docker /run/containerd /etc/docker; do mount -t tmpfs none $folder; done
touch "$1" && exec sleep infinity
"""


class Lab:
    """An engine in namespaces, which the next Dolium may meet in any state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"doliumtest{folder.name[-8:]}"
        self.made: list[Engine] = []
        unshare = ["unshare", "--net", "--mount", "--propagation", "private"]
        self.holder = subprocess.Popen(
            [*unshare, "sh", "-c", NAMESPACE, "sh", str(folder / "ready")]
        )
        wait((folder / "ready").exists, "namespaces")

    def engine(self, **changes: object) -> Engine:
        options: dict[str, object] = {
            "name": self.name,
            "standard": self.folder / "nobody.sock",
            "within": ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"],
        }
        options |= changes
        made = Engine(self.folder / "s", self.folder / "r", **options)  # type: ignore[arg-type]
        self.made.append(made)
        return made

    def docker(self, *arguments: str, data: bytes | None = None) -> str:
        done = subprocess.run(
            ["docker", "--host", f"unix://{self.folder}/r/engine/docker.sock", *arguments],
            input=data,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return done.stdout.decode().strip()

    def kill(self, daemon: str) -> None:
        """End one of the two without warning, and wait until it is gone."""
        pid = int((self.folder / "r" / "engine" / f"{daemon}.ours").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        until(lambda: look(pid) is None)

    def end(self) -> None:
        for engine in self.made:
            engine.release()
        last = self.engine()
        if (self.folder / "r" / "engine" / "docker.sock").exists():
            last.start(PATIENCE)
            if left := self.docker("ps", "--all", "--quiet").split():
                self.docker("rm", "--force", "--volumes", *left)
        for engine in self.made:
            engine.stop()
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def lab() -> Iterator[Lab]:
    # Not pytest's folder: the paths of sockets have to be short.
    folder = Path(f"/tmp/dolium-{os.urandom(4).hex()}")
    folder.mkdir(mode=0o700)
    made = Lab(folder)
    try:
        yield made
    finally:
        made.end()


def busybox(lab: Lab) -> None:
    lab.docker("import", "-", "busybox", data=rootfs())


def answers(lab: Lab) -> bool:
    try:
        return bool(lab.docker("version"))
    except AssertionError:
        return False


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_starts_is_adopted_and_containers_outlive_everything(lab: Lab) -> None:
    first = lab.engine()
    assert "Our own engine started" in first.start(PATIENCE) and first.ours
    assert first.socket.stat().st_mode & 0o777 == 0o600
    busybox(lab)
    box = lab.docker("run", "-d", "--net", "none", "busybox", "sleep", "600")
    inside = "{{.State.Pid}} {{.State.StartedAt}}"
    before = lab.docker("inspect", "--format", inside, box)

    second = lab.engine()  # Dolium was killed: it finds both daemons
    assert "still runs" in second.start(PATIENCE)
    assert lab.docker("inspect", "--format", inside, box) == before

    for daemon in ("dockerd", "containerd"):  # and so it is when either was killed, too
        lab.kill(daemon)
        assert "Our own engine started" in lab.engine().start(PATIENCE)
        assert lab.docker("inspect", "--format", inside, box) == before
        assert lab.docker("exec", box, "echo", "alive") == "alive"

    changed = lab.engine(mirrors=["http://127.0.0.1:1"])  # another configuration: started anew
    assert "Our own engine started" in changed.start(PATIENCE)
    assert "http://127.0.0.1:1" in lab.docker("info", "--format", "{{json .RegistryConfig}}")
    assert lab.docker("inspect", "--format", inside, box) == before


def test_a_container_that_its_containerd_forgot_leaves_no_process(lab: Lab) -> None:
    """As a death within seconds of a start can leave it: running, and unknown."""
    lab.engine().start(PATIENCE)
    busybox(lab)
    box = lab.docker("run", "-d", "--net", "none", "busybox", "sleep", "600")
    pid = int(lab.docker("inspect", "--format", "{{.State.Pid}}", box))
    for daemon in ("dockerd", "containerd"):
        lab.kill(daemon)
    (database,) = (lab.folder / "s").rglob("meta.db")
    database.unlink()

    lab.engine().start(PATIENCE)
    assert lab.docker("inspect", "--format", "{{.State.Status}}", box) == "exited"
    until(lambda: look(pid) is None)
    lab.docker("start", box)
    assert lab.docker("exec", box, "echo", "alive") == "alive"
    shims = [line for line in commands() if "containerd-shim" in line and box in line]
    assert len(shims) == 1


def commands() -> list[str]:
    """Command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_watched_engine_comes_back(lab: Lab) -> None:
    made, said = lab.engine(), list[str]()
    made.start(PATIENCE)
    made.watch(said.append)
    for daemon in ("containerd", "dockerd"):
        known = len(said)  # one's death may take the other along, which then comes back too
        lab.kill(daemon)
        again = f"{daemon} runs again"
        until(lambda: any(each.startswith(again) for each in said[known:]))  # noqa: B023
    until(lambda: answers(lab))
    made.release()
    busybox(lab)
    assert lab.docker("run", "--rm", "--net", "none", "busybox", "echo", "hi") == "hi"


def test_it_has_its_own_control_groups_and_leaves_none(lab: Lab) -> None:
    made = lab.engine()
    made.start(PATIENCE)
    busybox(lab)
    line = lab.docker("run", "--rm", "--net", "none", "busybox", "cat", "/proc/self/cgroup")
    assert lab.name in line
    made.stop()
    assert not [*Path("/sys/fs/cgroup").glob(f"*/{lab.name}*")]
    assert not (lab.folder / "r" / "engine" / "docker.sock").exists()


@pytest.mark.skipif(shutil.which("runsc") is None, reason="gVisor's runsc is not installed")
def test_gvisor_runs_with_and_without_a_network(lab: Lab) -> None:
    lab.engine().start(PATIENCE)
    busybox(lab)
    run = ["run", "--rm", "--runtime", "runsc", "--memory", "64m"]
    kernel = lab.docker(*run, "--net", "none", "busybox", "cat", "/proc/version")
    assert kernel != Path("/proc/version").read_text().strip()

    # A namespace that is wired before the sandbox starts, as Docker does through its plugin.
    pause = lab.docker("run", "-d", "--net", "none", "busybox", "sleep", "600")
    pid = lab.docker("inspect", "--format", "{{.State.Pid}}", pause)
    host = ["nsenter", "-t", str(lab.holder.pid), "-n"]
    there = ["nsenter", "-t", pid, "-n"]
    wiring = [
        [*host, "ip", "link", "add", "near", "type", "veth", "peer", "far", "netns", pid],
        [*host, "ip", "addr", "add", "10.77.0.1/24", "dev", "near"],
        [*host, "ip", "link", "set", "near", "up"],
        [*there, "ip", "addr", "add", "10.77.0.2/24", "dev", "far"],
        [*there, "ip", "link", "set", "far", "up"],
    ]
    for command in wiring:
        subprocess.run(command, check=True)
    listening = [*host, "busybox", "nc", "-l", "-p", "7777"]
    listener = subprocess.Popen(listening, stdout=subprocess.PIPE, text=True)
    try:
        say = "for try in 1 2 3 4 5; do echo hello | nc -w 5 10.77.0.1 7777 && break; sleep 1; done"
        lab.docker(*run, "--net", f"container:{pause}", "busybox", "sh", "-c", say)
        assert listener.communicate(timeout=PATIENCE)[0] == "hello\n"
    finally:
        listener.kill()
        listener.wait()


def test_a_daemon_that_dies_says_why_and_nothing_is_left(lab: Lab) -> None:
    made = lab.engine(mirrors=["not a url"])
    with pytest.raises(errors.EngineDied, match="failed to start daemon: invalid mirror") as caught:
        made.start(PATIENCE)
    assert "\n" not in str(caught.value) and "dockerd.log" in str(caught.value)
    assert not [*(lab.folder / "r" / "engine").glob("*.ours")]
    assert not (lab.folder / "s" / "engine" / "used").exists()


def test_a_recycled_pid_in_dockers_own_file_is_no_obstacle(lab: Lab) -> None:
    lab.engine().start(PATIENCE)
    lab.kill("dockerd")
    (lab.folder / "r" / "engine" / "docker.pid").write_text("1")
    assert "Our own engine started" in lab.engine().start(PATIENCE)


def test_a_full_disk_is_said_before_anything_starts(lab: Lab) -> None:
    with pytest.raises(errors.DiskFull):
        lab.engine(minimum_free=2**60).start()
    assert not [*(lab.folder / "r" / "engine").iterdir()]
