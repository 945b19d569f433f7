"""A real Nova behind a real Keystone; its servers run on hypervisors that are none."""

from __future__ import annotations

import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dolium.clients.account import Account, auth
from dolium.clients.nova import Nova as Client
from dolium.drivers.fence.nova import NovaFence, NovaOptions
from tests.live import identity
from tests.live.place import environment, port, until

PROGRAM = Path(__file__).parent / "served" / "serve_nova.py"
PYTHON = Path(__file__).parents[2] / ".venv-nova" / "bin" / "python"
HYPERVISORS = ("big1", "big2")
IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
"""One of those that Nova's tests have."""
MICROVERSION = "2.74"
"""The first with servers for a host, and with none for networks."""
VARIABLES = {"OS_NOVA_DISABLE_EVENTLET_PATCHING": "1", "PYTHONWARNINGS": "ignore"}


class Nova:
    """Started when made; `close` leaves nothing."""

    @staticmethod
    def missing() -> str:
        """What is not installed; empty when all is."""
        return "" if PYTHON.exists() else ".venv-nova is missing; scripts/bootstrap test makes it"

    def __init__(self, folder: Path) -> None:
        self._listen, self._folder = port(), folder
        self.url = f"http://127.0.0.1:{self._listen}/v2.1"
        self._keystone = identity.beside(folder, {"compute": self.url})
        self._log = folder / "nova.out"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        (self._folder / "nova.conf").write_text(identity.validation(self._keystone))
        command = [str(PYTHON), str(PROGRAM), str(self._listen), str(self._folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *HYPERVISORS],
                stdout=log,
                stderr=log,
                env=environment() | VARIABLES | {"TMPDIR": str(self._folder)},
            )
        until(self._answers, "Nova does not answer", seconds=120, step=0.2)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def account(self, user: str = "admin") -> Account:
        """Of one of its users; see identity.account."""
        return identity.account(self._keystone, user)

    def client(self, user: str = "admin") -> Client:
        """What Dolium asks by."""
        return Client(self.account(user))

    def fence(
        self, user: str = "admin", *, power_off: bool = True, timeout_s: float = 30.0
    ) -> NovaFence:
        """Of one of them."""
        known = self._keystone.credentials(user)
        return NovaFence(NovaOptions(**vars(known), power_off=power_off, timeout_s=timeout_s))

    def user(self, name: str = "admin") -> User:
        """Who boots servers."""
        return User(self.account(name))

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It is reached and says nothing meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._keystone.stop()


class User:
    """Somebody with servers."""

    def __init__(self, account: Account) -> None:
        from keystoneauth1 import adapter, session

        self.client = Client(account)
        self.http = adapter.Adapter(
            session.Session(auth=auth(account), timeout=30),
            service_type="compute",
            default_microversion=MICROVERSION,
        )

    def boot(self, name: str, hypervisor: str = "", group: str = "") -> str:
        """Make a server that runs; returns its id."""
        server: dict[str, Any] = {"name": name, "imageRef": IMAGE, "flavorRef": "1"}
        server |= {"networks": "none"} | ({"host": hypervisor} if hypervisor else {})
        hints = {"os:scheduler_hints": {"group": group}} if group else {}
        made = self.http.post("/servers", json={"server": server} | hints).json()["server"]
        self.wait(made["id"], "ACTIVE")
        return str(made["id"])

    def wait(self, ident: str, status: str) -> None:
        """Until a server is in a status."""
        until(lambda: self._status(ident) == status, f"{ident} is not {status}", step=0.2)

    def _status(self, ident: str) -> str:
        found = self.client.server(ident)
        status = found.status if found else "none"
        assert status != "ERROR", self.http.get(f"/servers/{ident}").json()
        return status

    def apart(self) -> str:
        """A group of servers that are all on different hypervisors."""
        group = {"name": "apart", "policy": "anti-affinity"}
        made = self.http.post("/os-server-groups", json={"server_group": group}).json()
        return str(made["server_group"]["id"])

    def act(self, ident: str, action: dict[str, Any]) -> None:
        """Ask for an action on a server."""
        self.http.post(f"/servers/{ident}/action", json=action)

    def delete(self, ident: str) -> None:
        """Remove a server, and wait until it is gone: Nova shows it as DELETED a moment before."""
        self.http.delete(f"/servers/{ident}")
        until(lambda: self.client.server(ident) is None, f"{ident} is not gone", step=0.2)
