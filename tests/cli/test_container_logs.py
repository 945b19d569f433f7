"""`dolium logs` against a real server, with what a connection may do meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium.cli import cloud
from dolium.cli.main import main
from tests.api.desk import STAMP, Bench
from tests.link.ends import PATIENCE, eventually

# What keystoneauth1 loads if it is there, here with Keystone itself, is not new.
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

Said = pytest.CaptureFixture[str]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(cloud, "FIRST_S", 0.05)
    with Bench(tmp_path) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


class Typed(threading.Thread):
    """A command line that goes on."""

    status: int | None = None

    def __init__(self, *argv: str) -> None:
        super().__init__(daemon=True)
        self._argv = argv
        self.start()

    def run(self) -> None:
        self.status = main([*self._argv])

    def ends(self) -> int | None:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.status


def stamped(number: int, text: str) -> bytes:
    return STAMP.replace(b"01Z", b"%02dZ" % number) + text.encode() + b"\n"


def test_so_far(bench: Bench, capsys: Said) -> None:
    assert main(["logs", "web"]) == 0
    assert capsys.readouterr().out == "hello from sleep 9999\n"
    assert main(["logs", "nosuch"]) == 1
    assert "dolium: Container nosuch could not be found." in capsys.readouterr().err
    assert main(["logs", "web", "--since", "yesterday"]) == 1
    assert "Invalid input for field 'since'" in capsys.readouterr().err


def test_a_lost_connection_loses_and_doubles_nothing(bench: Bench, capsys: Said) -> None:
    typed = Typed("logs", "-f", "web", "--tail", "2")
    eventually(lambda: len(bench.desk.open) == 1)
    bench.desk.say(stamped(1, "one") + stamped(2, "two") + stamped(2, "too") + stamped(3, "thr"))
    eventually(lambda: "thr" in bench.said(capsys))
    bench.desk.open[-1].close()
    eventually(lambda: len(bench.desk.open) == 2)
    assert bench.desk.asked[0]["tail"] == "2"
    assert (bench.desk.asked[1]["tail"], bench.desk.asked[1]["since"][-10:]) == (
        "all",
        ".000000003",
    )
    bench.cloud.call("POST", "/v1/containers/web/stop")
    bench.cloud.host.look()
    bench.desk.say(stamped(3, "thr") + stamped(4, "four"), end=True)
    eventually(lambda: len(bench.desk.open) == 3)  # for what was written last
    bench.desk.say(stamped(4, "four"), end=True)
    assert typed.ends() == 0
    assert bench.said(capsys) == "one\ntwo\ntoo\nthr\nfour\n"
    assert bench.desk.asked[2]["since"].endswith(".000000004")


def test_one_that_is_deleted_ends(bench: Bench, capsys: Said) -> None:
    typed = Typed("logs", "--follow", "--timestamps", "web")
    eventually(lambda: len(bench.desk.open) == 1)
    bench.desk.say(stamped(1, "one"))
    eventually(lambda: "one" in bench.said(capsys))
    bench.cloud.call("DELETE", "/v1/containers/web?stop=true")
    bench.cloud.host.look()
    bench.desk.open[-1].close()
    assert typed.ends() == 0
    assert bench.said(capsys) == stamped(1, "one").decode()


def test_who_never_got_in_is_told(
    bench: Bench, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_ENDPOINT", "http://127.0.0.1:9/v1")
    assert main(["logs", "-f", "web"]) == 1
    assert "dolium: The cloud does not answer" in capsys.readouterr().err
    monkeypatch.delenv("OS_AUTH_TYPE")
    assert main(["logs", "-f", "web"]) == 1
    assert "source the openrc" in capsys.readouterr().err
