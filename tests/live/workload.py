"""What several people do at once while everything around them is killed; and what they may expect.

Each worker owns its containers and remembers the last wish that was acknowledged (2xx) for each.
A request whose answer was lost may or may not have counted, so it leaves both possibilities open.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager
from http.client import HTTPException
from typing import Any, Protocol

import msgspec

from tests.live.installation import ENDS, IMAGE
from tests.perf import wire

MOST = 4
"""Containers of one worker at a time."""
CHANGES = {
    "Running": ("stop", "reboot", "rebuild", "pause", "delete"),
    "Stopped": ("start", "delete", "start"),
    "Created": ("start", "delete"),
    "Paused": ("unpause",),
    "Error": ("delete",),
}
WISHES = {
    "create": {"Created"},
    "run": {"Running"},
    "start": {"Running"},
    "reboot": {"Running"},
    "rebuild": {"Running"},
    "unpause": {"Running"},
    "stop": {"Stopped"},
    "pause": {"Paused"},
    "delete": {"gone"},
}
"""Verb -> where the container ends when nobody asks for more."""

UNCERTAIN = frozenset({"Running", "Stopped", "Created", "Paused", "gone"})
Answer = tuple[int, bytes] | None


class Service(Protocol):
    """Whom workers ask: an all-in-one or a cloud."""

    def connect(self, known: str, number: int) -> wire.Client:
        """A client with a token; number chooses among several doors."""
        ...

    def token(self) -> str:
        """A fresh one of user demo."""
        ...

    def client(self, who: str) -> AbstractContextManager[wire.Client]:
        """A client of somebody."""
        ...


class Worker(threading.Thread):
    """One person with one token."""

    def __init__(self, service: Service, number: int, seed: int) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.expected: dict[str, set[str]] = {}
        """Container -> statuses it may end in."""
        self.asked: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._rng = random.Random(f"{seed}/{number}")
        self._service = service
        self._number = number
        self._token = service.token()
        self._ending = threading.Event()
        self._client: wire.Client | None = None

    def run(self) -> None:
        """Ask for one thing after another until told to end."""
        try:
            while not self._ending.is_set():
                self._once()
                self._ending.wait(self._rng.uniform(0.02, 0.25))
        except Exception as error:
            self.wrong.append(f"{self.name}: {error!r}")
        finally:
            self._hang_up()

    def end(self) -> None:
        """Finish the request under way."""
        self._ending.set()

    def _once(self) -> None:
        living = [uuid for uuid, ends in self.expected.items() if ends != {"gone"}]
        if (len(living) < MOST and self._rng.random() < 0.5) or not living:
            self._create()
            return
        uuid = self._rng.choice(living)
        answer = self._exchange("GET", f"/v1/containers/{uuid}")
        if answer is None or answer[0] == 503:
            return
        if answer[0] == 404:
            if "gone" not in self.expected[uuid]:
                self.wrong.append(f"{uuid} is lost; it was to be {self.expected[uuid]}")
            self.expected[uuid] = {"gone"}
            return
        if answer[0] != 200:
            self.wrong.append(f"show: {answer}")
            return
        shown = msgspec.json.decode(answer[1])
        if shown["task_state"] is None and shown["status"] in CHANGES:
            self._change(uuid, self._rng.choice(CHANGES[shown["status"]]))

    def _create(self) -> None:
        run = self._rng.random() < 0.8
        spec: dict[str, Any] = {"image": IMAGE, "command": ENDS, "cpu": 0.1, "memory": "16"}
        spec["name"] = f"w{self._number}-{self.asked['create']}"
        body = msgspec.json.encode(spec)
        answer = self._exchange("POST", f"/v1/containers?run={str(run).lower()}", body)
        self.asked["create"] += 1
        if answer is not None and answer[0] == 202:
            uuid = msgspec.json.decode(answer[1])["uuid"]
            self.expected[uuid] = set(WISHES["run" if run else "create"])
        elif answer is not None and answer[0] != 503:
            self.wrong.append(f"create: {answer}")

    def _change(self, uuid: str, verb: str) -> None:
        path = f"/v1/containers/{uuid}"
        if verb == "delete":
            answer = self._exchange("DELETE", f"{path}?stop=true")
        else:
            timeout = "?timeout=3" if verb in ("stop", "reboot") else ""
            answer = self._exchange("POST", f"{path}/{verb}{timeout}")
        self.asked[verb] += 1
        if answer is None:
            self.expected[uuid] = self.expected[uuid] | WISHES[verb]
        elif answer[0] in (202, 204):
            self.expected[uuid] = set(WISHES[verb])
        elif answer[0] not in (404, 409, 503):
            self.wrong.append(f"{verb}: {answer}")

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """None: nobody knows whether it counted."""
        try:
            if self._client is None:
                self._client = self._service.connect(self._token, self._rng.randrange(1000))
            return self._client.raw(method, path, body)
        except (OSError, HTTPException):
            self._hang_up()
            time.sleep(0.1)
            return None

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def finish(workers: list[Worker], seconds: float) -> None:
    """End all; each has so long to get the answer it waits for."""
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.join(seconds)
        assert not worker.is_alive(), f"{worker.name} hangs"


def disagreements(workers: list[Worker], service: Service, *, forgetful: bool = False) -> list[str]:
    """Where the containers ended otherwise than the workers may expect.

    forgetful: engines were killed just after their disks were full, and may not know that a
    container that was stopped ever ran.
    """
    with service.client("admin") as client:
        listed = client.ask("GET", "/v1/containers?all_projects=1")["containers"]
    ended = {each["uuid"]: each for each in listed}
    found = []
    for worker in workers:
        found += worker.wrong
        for uuid, ends in worker.expected.items():
            status = ended[uuid]["status"] if uuid in ended else "gone"
            forgotten = forgetful and status == "Created" and "Stopped" in ends
            if status not in ends and not forgotten:
                why = ended.get(uuid, {}).get("status_reason")
                found.append(f"{uuid} of {worker.name} is {status} ({why}), expected {ends}")
    return found
