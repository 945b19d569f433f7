"""A line to a registry that is slow: passes connections on, so many bytes a second.

python slow.py PORT TARGET BYTES
"""

from __future__ import annotations

import socket
import sys
import threading
import time

TICK_S = 0.02


def carry(source: socket.socket, sink: socket.socket, most: int) -> None:
    """One way, until its end."""
    try:
        while data := source.recv(most):
            sink.sendall(data)
            time.sleep(TICK_S * len(data) / most)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main(port: int, target: int, rate: int) -> None:
    """Listens on loopback, for ever."""
    most = int(rate * TICK_S)
    listening = socket.create_server(("127.0.0.1", port))
    while True:
        near, _ = listening.accept()
        far = socket.create_connection(("127.0.0.1", target))
        for ends in ((near, far), (far, near)):
            threading.Thread(target=carry, args=(*ends, most), daemon=True).start()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
