"""Shims are told apart by their containerd, and ended only when their container does not run."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dolium.beside import shims


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


def tell(data: Path, container: str, *, running: bool) -> None:
    folder = data / "containers" / container
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"State": {"Running": running}}))


def test_only_strays_of_this_containerd_are_ended(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.sock", tmp_path / "theirs.sock"
    tell(tmp_path, "runs", running=True)
    tell(tmp_path, "stopped", running=False)
    with (
        shim(ours, "runs") as kept,
        shim(ours, "stopped") as stopped,
        shim(ours, "unknown") as unknown,
        shim(theirs, "stopped") as foreign,
    ):
        assert sorted(shims.end(ours, tmp_path)) == ["stopped", "unknown"]
        assert stopped.wait(10) == unknown.wait(10) == -9
        assert kept.poll() is None
        assert foreign.poll() is None
