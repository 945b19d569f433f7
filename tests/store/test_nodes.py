"""A cluster's addresses: one that answers is enough, and is asked first the next time."""

from __future__ import annotations

from typing import Any

import pytest

from dolium.store.server import NOT_READY, _Nodes


class Refused(Exception):
    """Of the driver."""


class Cursor:
    def __init__(self, ready: bool) -> None:
        self._ready = ready
        self._answer = ("", "")

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, text: str) -> None:
        on = "wsrep_on" in text or self._ready
        self._answer = ("", "ON" if on else "OFF")

    def fetchone(self) -> tuple[str, str]:
        return self._answer


class Cluster:
    """The driver, and what each of its servers is: up, down or cut off from the others."""

    Error = OperationalError = Refused

    def __init__(self, **nodes: str) -> None:
        self.nodes = nodes
        self.asked: list[str] = []
        self.closed = 0
        self.loaded_dbapi = self

    def connect(self, host: str = "") -> Any:
        self.asked.append(host)
        if self.nodes[host] == "down":
            raise Refused(2003)
        return self

    def cursor(self) -> Cursor:
        return Cursor(self.nodes[self.asked[-1]] == "up")

    def close(self) -> None:
        self.closed += 1


def test_the_next_is_asked_and_stays_the_first_while_it_answers() -> None:
    cluster, nodes = Cluster(a="down", b="cut off", c="up"), _Nodes("a,b,c")
    nodes.connect(cluster, None, (), {})
    assert (cluster.asked, cluster.closed) == (["a", "b", "c"], 1)
    nodes.connect(cluster, None, (), {})
    assert cluster.asked[3:] == ["c"]
    cluster.nodes |= {"a": "up", "c": "down"}
    nodes.connect(cluster, None, (), {})
    assert cluster.asked[4:] == ["c", "a"]


def test_when_nobody_answers_the_last_one_is_to_blame() -> None:
    cluster, nodes = Cluster(a="down", b="cut off"), _Nodes("a,b")
    with pytest.raises(Refused, match=str(NOT_READY)):
        nodes.connect(cluster, None, (), {})
    assert cluster.asked == ["a", "b"]
