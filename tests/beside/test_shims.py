"""Shims are told apart by their containerd, and ended only when their container does not run."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dolium.beside import shims
from dolium.beside.engine_files import Places


@contextmanager
def shim(address: Path, container: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a shim."""
    program = 'exec -a containerd-shim-runc-v2 sh -c "sleep 60; :" "$@"'
    options = ["-namespace", "x", "-id", container, "-address", str(address)]
    process = subprocess.Popen(["bash", "-c", program, "bash", "shim", *options])
    while (
        b"containerd-shim" not in Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[0]
    ):
        pass
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def tell(places: Places, container: str, *, running: bool) -> Path:
    folder = places.state / "data" / "containers" / container
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"State": {"Running": running}}))
    bundle = places.run / "containerd/io.containerd.runtime.v2.task/name" / container
    (bundle / "rootfs").mkdir(parents=True)
    known = places.run / "exec/runtime-runc/name" / container
    known.mkdir(parents=True)
    return bundle


def test_only_strays_of_this_engine_are_ended(tmp_path: Path) -> None:
    ours = Places(tmp_path / "state", tmp_path / "run")
    theirs = tmp_path / "theirs.sock"
    runs = tell(ours, "runs", running=True)
    stopped_bundle = tell(ours, "stopped", running=False)
    with (
        shim(ours.containerd, "runs") as kept,
        shim(ours.containerd, "stopped") as stopped,
        shim(ours.containerd, "unknown") as unknown,
        shim(theirs, "stopped") as foreign,
    ):
        assert shims.end(ours, "name") == ["stopped", "unknown"]
        assert stopped.wait(10) == unknown.wait(10) == -9
        assert kept.poll() is None
        assert foreign.poll() is None
    assert runs.exists()
    assert not stopped_bundle.exists()
    assert [path.name for path in (ours.run / "exec/runtime-runc/name").iterdir()] == ["runs"]


def test_nothing_there_is_fine(tmp_path: Path) -> None:
    assert shims.end(Places(tmp_path / "state", tmp_path / "run"), "name") == []
