"""Network namespaces of a test's own: a host, containers and an outside, without names.

A namespace lives as long as the process that holds it, so nothing can be left over.
"""

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.live.place import until

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000


def run(command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command line in the namespace of the calling thread."""
    return subprocess.run(
        ["sh", "-ec", command], check=check, capture_output=True, text=True, timeout=60
    )


@contextmanager
def host() -> Iterator[None]:
    """The calling thread in a new network namespace, loopback up."""
    origin = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if _LIBC.unshare(_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        run("ip link set lo up")
        yield
    finally:
        assert _LIBC.setns(origin, _NEWNET) == 0
        os.close(origin)


class Space:
    """A container, or the outside: a network namespace held by a process."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        self.pid = self._holder.pid

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command line inside."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", "sh", "-ec", command],
            check=check,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def serve(self, address: str, port: int = 80) -> Iterator[None]:
        """A TCP server inside that says `hello` and who called."""
        with served(address, port, "nsenter", "-t", str(self.pid), "-n"):
            yield

    def close(self) -> None:
        """End it, and the namespace with it."""
        self._holder.kill()
        self._holder.communicate()


SERVE = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, port))
server.listen()
print(flush=True)
while True:
    caller, who = server.accept()
    caller.sendall(f"hello {who[0]}".encode())
    caller.close()
"""


@contextmanager
def served(address: str, port: int = 80, *prefix: str) -> Iterator[None]:
    """A TCP server in the namespace of the calling thread, or behind the prefix."""
    command = [*prefix, "python3", "-c", SERVE, address, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield
        finally:
            server.kill()


CALL = (
    "import socket,sys;c=socket.create_connection((sys.argv[1],int(sys.argv[2])),3);"
    "print(c.recv(100).decode())"
)


def call(space: Space | None, address: str, port: int = 80) -> str:
    """What a server answers to a caller in the space (None: the host); empty: nothing."""
    command = f'python3 -c "{CALL}" {address} {port}'
    done = space.run(command, check=False) if space else run(command, check=False)
    return done.stdout.strip()


HEAR = (
    "import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
    "s.bind((sys.argv[1],9));s.settimeout(20);print(flush=True);print(s.recv(99).decode())"
)
TELL = (
    "import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
    "s.bind((sys.argv[1],0));s.sendto(sys.argv[1].encode(),(sys.argv[2],9))"
)


@contextmanager
def listen(space: Space, address: str) -> Iterator[Callable[[], str]]:
    """A UDP socket on port 9 inside; the function waits for the first datagram."""
    command = ["nsenter", "-t", str(space.pid), "-n", "python3", "-c", HEAR, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout is not None
            listener.stdout.readline()
            yield lambda: listener.communicate()[0].strip()
        finally:
            listener.kill()


def called(space: Space | None, address: str, port: int = 80) -> str:
    """The first answer: a bridge forwards only a moment after something was plugged in."""
    return until(lambda: call(space, address, port), f"{address} answers a call", 20)


def ping(space: Space, address: str) -> bool:
    """Whether the address answers within two seconds."""
    return space.run(f"busybox ping -c 1 -W 2 {address}", check=False).returncode == 0


def pinged(space: Space, address: str) -> bool:
    """True once the address answers; see `called`."""
    return until(lambda: ping(space, address), f"{address} answers a ping", 20)
