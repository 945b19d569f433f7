"""A server of the API on a real port, and the log of its one container, `web`, in a hand."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dolium.api.server import Server
from dolium.api.streams import Streams
from dolium.link.base import Line
from dolium.model import log
from dolium.model.clock import SystemClock
from dolium.model.wish import Question
from dolium.store import upgrade
from dolium.store.sqlite import Sqlite
from tests.control import world as worlds
from tests.link.ends import PATIENCE
from tests.stories.cloud import Cloud

MOST = 2
STAMP = b"2026-11-26T09:00:00.000000001Z "


class Desk:
    """Where logs are written: the test is the host."""

    def __init__(self) -> None:
        self.open: list[socket.socket] = []
        self.asked: list[dict[str, Any]] = []

    def __call__(self, question: Question) -> Line:
        assert question.what == "follow"
        self.asked.append(question.params)
        return self

    def join(self, far: socket.socket) -> None:
        self.open.append(far)

    def say(self, text: bytes, *, end: bool = False) -> None:
        self.open[-1].sendall(log.piece(text) + log.END * end)


class Bench:
    def __init__(self, folder: Path) -> None:
        upgrade.upgrade(folder / "db")
        self.store = Sqlite(folder / "db")
        self.desk = Desk()
        self._said = ""
        streams = Streams(MOST)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worlds, "make_store", lambda: self.store)
            patch.setattr(worlds, "TickingClock", SystemClock)
            self.cloud = cloud = Cloud(streams=streams)
        cloud.host.open = self.desk  # type: ignore[method-assign]
        body = {"image": "cirros", "name": "web", "command": ["sleep", "9999"]}
        assert cloud.call("POST", "/v1/containers?run=true", body=body).status == 202
        cloud.host.look()
        self.server = Server(cloud.app, port=0, threads=2, streams=streams)
        self.server.start()

    @contextmanager
    def follow(self) -> Iterator[http.client.HTTPResponse]:
        path = "/v1/containers/web/logs?follow=true"
        address = "127.0.0.1", self.server.port
        with closing(http.client.HTTPConnection(*address, timeout=PATIENCE)) as connection:
            connection.request("GET", path, headers={"X-Auth-Token": "alice"})
            with connection.getresponse() as reply:
                yield reply

    def said(self, capsys: pytest.CaptureFixture[str]) -> str:
        """All that was printed until now."""
        self._said += capsys.readouterr().out
        return self._said

    @property
    def environment(self) -> dict[str, str]:
        """Of somebody who uses it."""
        return {
            "OS_CLOUD": "",
            "OS_AUTH_TYPE": "admin_token",
            "OS_TOKEN": "alice",
            "OS_ENDPOINT": f"http://127.0.0.1:{self.server.port}/v1",
        }

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.server.stop()
        self.store.close()
        for each in self.desk.open:
            each.close()
