"""What consoles cost that are open and silent."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dolium.link import certificates
from dolium.link.serving import allow_files

CONSOLES = 1000
MOST_MIB = 60
HANDSHAKE = (
    b"GET /?token=t&uuid=11111111-1111-4111-8111-111111111111 HTTP/1.1\r\n"
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(params=["plain", "tls"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> ssl.SSLContext | None:
    """What clients speak."""
    if request.param == "plain":
        return None
    certificates.found(tmp_path, time.time())
    return ssl.create_default_context(cafile=str(tmp_path / certificates.CERTIFICATE))


@pytest.fixture
def proxy(context: ssl.SSLContext | None, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.wsproxy.idle", *([str(tmp_path)] if context else [])]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def told(proxy: subprocess.Popen[str]) -> int:
    assert proxy.stdin and proxy.stdout
    proxy.stdin.write("\n")
    proxy.stdin.flush()
    return int(proxy.stdout.readline())


def resident(proxy: subprocess.Popen[str]) -> float:
    """MiB."""
    lines = Path(f"/proc/{proxy.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def come(port: int, context: ssl.SSLContext | None) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    if context is not None:
        client = context.wrap_socket(client, server_hostname="127.0.0.1")
    client.sendall(HANDSHAKE)
    assert client.recv(4096).startswith(b"HTTP/1.1 101")
    return client


@pytest.mark.slow
def test_a_thousand_silent_consoles(
    proxy: subprocess.Popen[str], context: ssl.SSLContext | None
) -> None:
    assert proxy.stdout
    port = int(proxy.stdout.readline())
    allow_files(CONSOLES)
    come(port, context).close()  # what is loaded at first use is not theirs
    until = time.monotonic() + 30
    while told(proxy) and time.monotonic() < until:
        time.sleep(0.01)
    before = resident(proxy)
    with ExitStack() as stack:
        for _ in range(CONSOLES):
            stack.enter_context(come(port, context))
        assert told(proxy) == CONSOLES
        cost = resident(proxy) - before
        print(f"{CONSOLES} silent consoles take {cost:.1f} MiB beside {before:.1f}")
        assert cost <= MOST_MIB
