"""Ports for servers that start later, or again."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """One that no connection gets by chance while the test restarts who listens there."""
    while True:
        port = random.randrange(20_000, 30_000)  # below what the kernel gives to connections
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
