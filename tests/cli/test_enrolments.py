"""From a CA to an enrolled host by commands, as the how-to goes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli.main import main
from dolium.control import enrolment
from dolium.link import https_agent
from dolium.link.https_control import ControlEnd, Own
from dolium.model.clock import SystemClock
from dolium.store import upgrade
from dolium.store.sqlite import Sqlite


class Node:
    """A control node with its state directory, serving the link."""

    def __init__(self, folder: Path) -> None:
        from dolium.control.hosts import Hosts

        self.folder, clock = folder, SystemClock()
        folder.mkdir()
        upgrade.upgrade(folder / "dolium.sqlite")
        assert main(["ca", "init", "--state-dir", str(folder)]) == 0
        self.store = Sqlite(folder / "dolium.sqlite")
        own = Own(folder / "ca", "control", clock)
        self.enrolment = enrolment.Enrolment(self.store, clock, own, "deployment")
        hosts = Hosts(self.store, clock, conf.Placing(), "deployment")
        self.end = ControlEnd(hosts, own, self.enrolment, self.store.hints.wake, clock, port=0)
        self.end.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.end.port}"

    def stop(self) -> None:
        self.end.stop()
        self.store.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "control")
    yield made
    made.stop()


def host(tmp_path: Path) -> Path:
    file = tmp_path / "host.conf"
    file.write_text(f"[DEFAULT]\nhost = rack1-host7\nstate_dir = {tmp_path / 'host'}\n")
    return file


def test_a_host_is_enrolled_and_later_refused(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["host", "token", "rack1-host7", "--state-dir", str(node.folder)]) == 0
    token = tmp_path / "token"
    token.write_text(capsys.readouterr().out)
    enrol = ["enrol", "--config", str(host(tmp_path)), "--url", node.url, "--token-file"]
    assert main([*enrol, str(token)]) == 0
    assert "enrolled as host rack1-host7" in capsys.readouterr().out
    config = conf.load([host(tmp_path)])
    assert https_agent.read(config.link_dir).host == "rack1-host7"

    assert main([*enrol, str(token)]) == 1
    said = capsys.readouterr().err
    assert "was used before" in said and token.read_text().strip() not in said

    assert main(["host", "revoke", "rack1-host7", "--state-dir", str(node.folder)]) == 0
    node.enrolment.refresh()
    assert not node.enrolment.accepts("rack1-host7", 1)
    assert main(["host", "revoke", "other", "--state-dir", str(node.folder)]) == 1


@pytest.mark.parametrize("way", ["stdin", "environment"])
def test_a_token_comes_from_where_nobody_else_reads(
    node: Node,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    capsys.readouterr()
    main(["host", "token", "rack1-host7", "--state-dir", str(node.folder)])
    token = capsys.readouterr().out
    enrol = ["enrol", "--config", str(host(tmp_path)), "--url", node.url]
    if way == "stdin":
        monkeypatch.setattr("sys.stdin", io.StringIO(token))
        enrol += ["--token-file", "-"]
    else:
        monkeypatch.setenv("DOLIUM_TOKEN", token)
    assert main(enrol) == 0


@pytest.mark.parametrize(
    "command, said",
    [
        (["enrol"], "There is no token"),
        (["enrol", "--token-file", "/nowhere"], "can't be read from /nowhere"),
        (["enrol", "--token-file", "/etc/hostname"], "That is no enrolment token"),
        (["host", "token", "a"], "`dolium ca init` makes one"),
        (["host", "revoke", "a"], "There is no database"),
        (["host", "token", "a", "--ttl", "0"], "at least one second"),
    ],
)
def test_what_is_missing_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    said: str,
) -> None:
    monkeypatch.delenv("DOLIUM_TOKEN", raising=False)
    assert main([*command, "--state-dir", str(tmp_path)]) == 1
    lines = capsys.readouterr().err
    assert said in lines and lines.count("\n") == 1


def test_a_second_ca_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init = ["ca", "init", "--state-dir", str(tmp_path)]
    assert main(init) == 0
    before = (tmp_path / "ca/ca.key").read_bytes()
    assert main(init) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert (tmp_path / "ca/ca.key").read_bytes() == before


def test_an_agent_that_is_not_enrolled_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.StartError, match="This host is not enrolled: make a token"):
        https_agent.read(tmp_path)
    (tmp_path / https_agent.FILE).write_text("half of")
    with pytest.raises(errors.StartError, match="has lost its enrolment"):
        https_agent.read(tmp_path)
