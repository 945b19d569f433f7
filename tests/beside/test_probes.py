"""What a machine lacks is one sentence that says what to do."""

import os
from pathlib import Path

import pytest

from dolium.beside import errors, probes


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    probes.space(tmp_path, 1)
    with pytest.raises(errors.DiskFull, match=r"MB free and images need at least \d+ MB"):
        probes.space(tmp_path, 2**60)


def test_a_missing_daemon_names_the_package() -> None:
    with pytest.raises(errors.DockerMissing, match=r"apt-get install docker\.io"):
        probes.binary("no-such-daemon")


def test_not_root_names_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(errors.NotRoot, match=r"`sudo dolium up --port 1`"):
        probes.root("dolium up --port 1")


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Tools that pretend: only what a test replaces fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ip", "nft", "mount"):
        tool(folder, name, "exit 0")
    tool(folder, "unshare", 'while [ "$1" != sh ]; do shift; done; exec "$@"')
    return folder


def test_a_kernel_that_can_everything_passes(tmp_path: Path, tools: Path) -> None:
    probes.kernel(tmp_path, path=f"{tools}:/usr/bin:/bin")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bin"]  # the scratch folder is gone


def test_everything_the_kernel_lacks_is_named_at_once(tmp_path: Path, tools: Path) -> None:
    tool(tools, "ip", "exit 2")
    tool(tools, "mount", "exit 32")
    with pytest.raises(errors.KernelLacks) as caught:
        probes.kernel(tmp_path, path=f"{tools}:/usr/bin:/bin")
    assert "bridge and veth and overlay is missing" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_machine_that_forbids_namespaces(tmp_path: Path, tools: Path) -> None:
    tool(tools, "unshare", "echo 'unshare failed: Operation not permitted' >&2; exit 1")
    with pytest.raises(errors.KernelLacks, match="Operation not permitted"):
        probes.kernel(tmp_path, path=f"{tools}:/usr/bin:/bin")


def test_a_missing_tool_names_its_package(tmp_path: Path, tools: Path) -> None:
    (tools / "nft").unlink()
    with pytest.raises(errors.ToolMissing, match="apt-get install nftables"):
        probes.kernel(tmp_path, path=str(tools))
