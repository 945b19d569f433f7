"""What a thousand agents that wait cost one control process: `python -m tests.perf.polls [N]`.

A control process on a real store serves N TLS connections whose polls wait. Told are its memory,
its CPU while nothing happens, and how long a hint takes to reach the host it concerns.
"""

from __future__ import annotations

import os
import random
import selectors
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from dolium.link import certificates, tls
from dolium.link.https_client import Wire
from dolium.link.wire import PREFIX, Pull, Topics
from dolium.store.schema import enrolments
from tests.link.ends import Control, hello

TICK = os.sysconf("SC_CLK_TCK")
IDLE_S = 20.0
WAIT_S = 30.0


def serve(folder: Path, number: int) -> None:
    """The control process."""
    control = Control(folder, polls=2 * number)
    rows = [{"host": f"h{each}", "generation": 1, "updated_at": 0.0} for each in range(number)]
    control.store.write(lambda tx: tx.run(enrolments.insert(), rows))
    control.enrolment.refresh()
    sys.stdout.write(f"{control.end.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    begun = time.monotonic()
    control.stop()
    sys.stdout.write(f"stopped after {time.monotonic() - begun:.1f} s\n")


class Server:
    """The control process as others see it."""

    def __init__(self, folder: Path, number: int) -> None:
        command = [sys.executable, "-m", "tests.perf.polls", "serve", str(folder), str(number)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def cpu(self) -> float:
        """Seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def identities(folder: Path, number: int) -> list[tls.Identity]:
    """One for each host; all with one key, as making keys is not what is measured."""
    ca, now = certificates.Ca(folder / "ca"), time.time()
    key, request = certificates.request()
    return [
        tls.Identity(
            tls.Pems(
                certificate=ca.host(f"h{each}", 1, request.decode(), now).encode(),
                key=key,
                trusted=ca.trusted.encode(),
                until=now + certificates.LASTS_S,
            )
        )
        for each in range(number)
    ]


def waiting(port: int, name: str, identity: tls.Identity) -> ssl.SSLSocket:
    """A connection on which a host's poll waits."""
    wire = Wire("127.0.0.1", port, identity.client, lambda peer: True, connect_s=60)
    wire.call("hello", msgspec.json.encode(hello(name, "boot")), 60.0)
    (connection,) = wire._idle
    sock: ssl.SSLSocket = connection.sock
    body = msgspec.json.encode(Pull(host=name, boot="boot", since=1, wait_s=WAIT_S))
    head = f"POST {PREFIX}wishes HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    KEPT.append(wire)
    return sock


KEPT: list[Wire] = []


def measure(number: int) -> None:
    """Do it and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates.found(folder / "ca", time.time())
        hosts = identities(folder, number)
        server = Server(folder, number)
        empty = server.memory()
        begun, used = time.monotonic(), server.cpu()
        socks = join(server.port, hosts)
        took, used = time.monotonic() - begun, server.cpu() - used
        each = 1000 * used / number
        say(f"{number} hosts said hello and wait: {took:.1f} s, {each:.1f} ms of CPU each")
        time.sleep(3)
        full = server.memory()
        each = 1024 * (full - empty) / number
        say(f"memory {empty:.0f} -> {full:.0f} MiB, {each:.0f} KiB each")
        say(f"threads {server.threads()}")
        idle(server)
        wake(another(folder, server.port), socks)
        say(server.process.communicate("")[0].strip())
        for wire in KEPT:
            wire.drop()


def another(folder: Path, port: int) -> Wire:
    """The way of another control process to this one."""
    ca, now = certificates.Ca(folder / "ca"), time.time()
    certificate, key = ca.control("another", now)
    pems = tls.Pems(
        certificate=certificate.encode(), key=key, trusted=ca.trusted.encode(), until=now + 60
    )
    wire = Wire("127.0.0.1", port, tls.Identity(pems).client, lambda peer: True)
    KEPT.append(wire)
    return wire


def join(port: int, hosts: list[tls.Identity]) -> list[ssl.SSLSocket]:
    """All at once, by 16 threads."""
    socks: dict[int, ssl.SSLSocket] = {}
    todo = list(range(len(hosts)))

    def some() -> None:
        while todo:
            each = todo.pop()
            socks[each] = waiting(port, f"h{each}", hosts[each])

    threads = [threading.Thread(target=some) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [socks[each] for each in range(len(hosts))]


def idle(server: Server) -> None:
    used = server.cpu()
    time.sleep(IDLE_S)
    say(f"CPU while nothing happens {100 * (server.cpu() - used) / IDLE_S:.2f} % of a core")


def wake(peer: Wire, socks: list[ssl.SSLSocket]) -> None:
    """From a hint until the host it is for can read its page."""
    rng, took = random.Random(1), []
    watch = selectors.DefaultSelector()
    for each in rng.sample(range(len(socks)), min(200, len(socks))):
        key = watch.register(socks[each], selectors.EVENT_READ)
        begun = time.perf_counter()
        peer.call("hints", msgspec.json.encode(Topics(topics=(f"host:h{each}",))), 10.0)
        if watch.select(10):
            took.append(1000 * (time.perf_counter() - begun))
        watch.unregister(key.fileobj)
    took.sort()
    middle, late = statistics.median(took), took[int(0.95 * len(took))]
    say(f"hint -> page p50 {middle:.1f} ms, p95 {late:.1f} ms, most {took[-1]:.1f} ms")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        measure(int(sys.argv[1]) if sys.argv[1:] else 1000)
