"""Plain clients for both sides of a comparison: one kept-open connection, JSON in and out."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import msgspec

PATIENCE_S = 60.0
IDLE_S = 3.0
"""A connection that was idle for longer may have been hung up by a server."""


class Refused(RuntimeError):
    """The other side answered with an error."""


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class NoDelay(HTTPConnection):
    """HTTP over TCP that sends head and body at once."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """One connection; not for several threads."""

    def __init__(self, connection: HTTPConnection, headers: dict[str, str] | None = None) -> None:
        self._connection = connection
        self._used = 0.0
        self.headers = headers or {}

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One exchange: status and body."""
        response, answer = self.exchange(method, path, body)
        return response.status, answer

    def exchange(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """One exchange with all of its head."""
        if time.monotonic() - self._used > IDLE_S:
            self._connection.close()  # it connects again by itself
        headers = self.headers | ({"Content-Type": "application/json"} if body else {})
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._used = time.monotonic()
        return response, answer

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One exchange in JSON; None for an empty answer."""
        sent = None if body is None else msgspec.json.encode(body)
        status, answer = self.raw(method, path, sent)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {answer[:500].decode(errors='replace')}")
        return msgspec.json.decode(answer) if answer.strip() else None

    def lines(self, path: str) -> Iterator[bytes]:
        """An answer that goes on, as its lines come; the connection is good for nothing else."""
        self._connection.request("GET", path, headers=self.headers)
        response = self._connection.getresponse()
        if response.status >= 400:
            raise Refused(f"GET {path}: {response.status}")
        return iter(response.readline, b"")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def tcp(host: str, port: int, headers: dict[str, str] | None = None) -> Client:
    """A client of a TCP port."""
    return Client(NoDelay(host, port, timeout=PATIENCE_S), headers)


def unix(path: str) -> Client:
    """A client of a unix socket."""
    return Client(UnixConnection(path))


def wait(condition: Callable[[], Any], what: str, *, step_s: float = 0.02) -> Any:
    """The condition's first true value; fails loudly when there is none in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(step_s)
    return value


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all threads it ever had, to the nanosecond."""
    # The kernel's number of the CPU clock of another process; Python has no name for it.
    return time.clock_gettime((~pid << 3) | 2)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/status") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory")
