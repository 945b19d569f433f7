"""`dolium events` against a real server: readable, whole after a restart, and honest about gaps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium import errors
from dolium.api.zun import events as api
from dolium.cli import cloud, events
from dolium.cli.events import Event, Told
from dolium.cli.main import main
from tests.api.desk import Bench
from tests.link.ends import PATIENCE, eventually

pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

WATCHES = "watches"
Said = pytest.CaptureFixture[str]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(cloud, "FIRST_S", 0.05)
    monkeypatch.setattr(api, "LONGEST_S", 1)  # so that answers end while somebody watches
    with Bench(tmp_path) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
        monkeypatch.setattr(cloud.Return, "wait", _give_up)
    for thread in threading.enumerate():
        if thread.name == WATCHES:
            thread.join(PATIENCE)


def _give_up(_: cloud.Return, error: errors.Error) -> None:
    raise error


def watch(*argv: str) -> None:
    """Type it, and let it go on."""
    argv = ("events", *argv)
    threading.Thread(target=main, args=([*argv],), name=WATCHES, daemon=True).start()


def test_each_change_once_over_many_answers(bench: Bench, capsys: Said) -> None:
    watch("--since", "0")
    eventually(lambda: "created" in bench.said(capsys))
    bench.cloud.call("POST", "/v1/containers/web/stop")
    bench.cloud.host.look()
    eventually(lambda: "Stopped" in bench.said(capsys))
    bench.cloud.call("DELETE", "/v1/containers/web")
    bench.cloud.host.look()
    eventually(lambda: "deleted" in bench.said(capsys))
    what = [line.split()[2] for line in bench.said(capsys).splitlines()]
    assert what[0] == "created"
    assert what[-2:] == ["delete", "deleted"]
    assert (what.count("created"), what.count("stop"), what.count("delete")) == (1, 1, 1)


def test_objects_for_programs(bench: Bench, capsys: Said) -> None:
    watch("--since=0", "--json")
    eventually(lambda: bench.said(capsys).endswith("\n"))
    first = json.loads(bench.said(capsys).splitlines()[0])
    assert (first["revision"], first["what"], first["name"]) == (1, "created", "web")


def test_capsules_are_told_too(bench: Bench, capsys: Said) -> None:
    template: dict[str, Any] = {"kind": "capsule", "metadata": {"name": "pod"}}
    template["spec"] = {"containers": [{"image": "cirros"}]}
    bench.cloud.call("POST", "/v1/capsules", body={"template": template})
    watch("--since=0")
    eventually(lambda: "capsule    pod" in bench.said(capsys))
    watch("--since=0", "--json")
    eventually(lambda: '{"kind":"capsule","revision":' in bench.said(capsys))


def test_a_revision_that_never_was_is_told(bench: Bench, capsys: Said) -> None:
    assert main(["events", "--since", "999999"]) == 1
    assert "are forgotten: list everything, then watch from" in capsys.readouterr().err


def test_events_in_any_pieces() -> None:
    whole = (
        b'id: 1\nevent: begin\ndata: {"revision":1}\n\n:\n\nid: 2\nevent: container\ndata: {}\n\n'
    )
    expected = [Event("1", "begin", b'{"revision":1}'), Event("2", "container", b"{}")]
    for size in (1, 7, 1000):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert list(events.events(pieces)) == expected


def test_a_line_for_people() -> None:
    told = Told(
        uuid="u", what="observed", at="2026-11-26 09:12:44.120358", name="web", status="Creating"
    )
    assert events.readable("container", told) == (
        "2026-11-26 09:12:44  observed  container  web  u  Creating"
    )
    gone = Told(uuid="u", what="deleted", at="2026-11-26 09:12:44.120358")
    assert events.readable("capsule", gone) == "2026-11-26 09:12:44  deleted   capsule    -  u"
