"""CPU of answering a list of 200 and one container, over the least that such an answer can cost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dolium.model import record
from tests.perf import population, wire
from tests.perf.figure import Figure, Samples, alternate, ms, ratio, raw
from tests.perf.serving import PROJECT, TOKEN, Recorded

CONTAINERS, ROUNDS, LISTS, SHOWS = 200, 9, 60, 400
ZUN_S = 0.146
"""CPU of Zun 18's best configuration for the same list, measured once on a test machine."""


def measure() -> Iterable[Figure]:
    """As a member: token and policy are looked up, and administrators' fields left out."""
    with tempfile.TemporaryDirectory(prefix="dolium-bench-") as name:
        folder = Path(name)
        population.running(folder / "db", hosts=4, each=CONTAINERS)
        with _server("dolium", folder) as (pid, client):
            client.headers = {"X-Auth-Token": TOKEN, "OpenStack-API-Version": "container 1.40"}
            listed = client.raw("GET", "/v1/containers")[1]
            page = msgspec.json.decode(listed)
            uuid = _checked(page)
            yield from _list(folder, pid, client, page, len(listed))
            yield _show(folder, pid, client, f"/v1/containers/{uuid}")


def _checked(page: dict[str, list[dict[str, object]]]) -> object:
    """The id of a container of the list, after a look that it is what we mean to measure."""
    found = page["containers"]
    statuses = {one["status"] for one in found}
    if len(found) != CONTAINERS or statuses != {"Running"} or "host" in found[0]:
        raise RuntimeError(f"not the list that was to be measured: {len(found)} of {statuses}")
    return found[0]["uuid"]


def _list(folder: Path, pid: int, client: wire.Client, page: object, size: int) -> Iterable[Figure]:
    columns = ", ".join(record.Container.__struct_fields__)
    query = f"SELECT {columns} FROM containers WHERE project_id = ? ORDER BY id LIMIT 1000"
    db = sqlite3.connect(folder / "db")

    def floor() -> float:
        start = time.process_time()
        for _ in range(LISTS):
            db.execute(query, (PROJECT,)).fetchall()
            msgspec.json.encode(page)
        return (time.process_time() - start) / LISTS

    mine, theirs = alternate(ROUNDS, _cpu(pid, client, "/v1/containers", LISTS), floor)
    db.close()
    shown = f"{ms(mine.p50)} CPU for {size // 1024} KiB"
    yield _figure(
        "list-200",
        f"GET /v1/containers with {CONTAINERS} containers, CPU, over raw fetch + encode",
        shown,
        f"sqlite3 fetchall + msgspec encode: {ms(theirs.p50)}",
        mine,
        theirs,
        2.2,
    )
    yield Figure(
        name="list-200-zun",
        what=f"The same list: how many times less CPU than Zun's {ms(ZUN_S)}",
        ours=shown,
        peer=f"Zun 18: {ms(ZUN_S)} (not in this run)",
        value=ZUN_S / mine.p50,
        target=60,
        at_least=True,
    )


def _show(folder: Path, pid: int, client: wire.Client, path: str) -> Figure:
    response, body = client.exchange("GET", path)
    by_server = ("Date", "Server", "Connection", "Keep-Alive")
    head = [pair for pair in response.getheaders() if pair[0] not in by_server]
    recorded: Recorded = (head, body)
    (folder / "answer").write_bytes(msgspec.json.encode(recorded))
    with _server("bare", folder) as (bare_pid, bare):
        bare.headers = client.headers
        mine, theirs = alternate(
            ROUNDS, _cpu(pid, client, path, SHOWS), _cpu(bare_pid, bare, path, SHOWS)
        )
    return _figure(
        "show",
        "GET /v1/containers/{id}, CPU, over a WSGI answer of the same bytes on the same server",
        f"{ms(mine.p50)} CPU",
        f"bare WSGI on cheroot: {ms(theirs.p50)}",
        mine,
        theirs,
        1.6,
    )


def _figure(
    name: str, what: str, ours: str, peer: str, mine: Samples, theirs: Samples, target: float
) -> Figure:
    return Figure(
        name=name,
        what=what,
        ours=ours,
        peer=peer,
        value=ratio(mine, theirs),
        target=target,
        raw=raw(ours_s=mine.values, peer_s=theirs.values),
    )


def _cpu(pid: int, client: wire.Client, path: str, times: int) -> Callable[[], float]:
    """Measures the server's CPU time of one request."""

    def side() -> float:
        start = wire.cpu_seconds(pid)
        for _ in range(times):
            status, _body = client.raw("GET", path)
            if status != 200:
                raise RuntimeError(f"{path}: {status}")
        return (wire.cpu_seconds(pid) - start) / times

    side()  # the first one warms what is built once
    return side


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[tuple[int, wire.Client]]:
    command = [sys.executable, "-m", "tests.perf.serving", kind, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            client = wire.tcp("127.0.0.1", int(process.stdout.readline()))
            yield process.pid, client
            client.close()
        finally:
            process.terminate()
