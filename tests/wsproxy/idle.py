"""A process with a websocket proxy and an agent's consoles, as `dolium up` has them, for a test
that looks at its memory. The other sides of terminals are silent. Ends with its input.

With the folder of a CA as argument it speaks TLS.
"""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path

from dolium.link.base import Line
from dolium.link.https_control import Own
from dolium.link.local import LocalHosts
from dolium.link.pump import Pump
from dolium.model.clock import SystemClock
from dolium.model.wish import Answer, Question
from dolium.wsproxy.server import Options, Server


class Agent:
    """Its consoles go through a pump, as an engine's do."""

    def __init__(self) -> None:
        self._pump = Pump("consoles")
        self._insides: list[socket.socket] = []

    def answer(self, question: Question) -> Answer:
        return Answer()

    def open(self, question: Question) -> Line:
        near, inside = socket.socketpair()
        self._insides.append(inside)
        return Desk(self._pump, near)


class Desk:
    def __init__(self, pump: Pump, near: socket.socket) -> None:
        self._pump, self._near = pump, near

    def join(self, far: socket.socket) -> None:
        self._pump.join(self._near, far)


def main() -> None:
    link = LocalHosts()
    link.join("host", Agent())

    def opens(token: str, uuid: str, exec_id: str) -> socket.socket:
        return link.open("host", Question(what="attach", uuid=uuid))

    context = None
    if sys.argv[1:]:
        context = Own(Path(sys.argv[1]), "proxy", SystemClock()).web(["127.0.0.1"])
    server = Server(opens, Options(port=0, consoles=2000), context)
    server.start()
    print(server.port, flush=True)
    for _ in sys.stdin:
        gc.collect()
        print(int(server.figures()[0].value), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
