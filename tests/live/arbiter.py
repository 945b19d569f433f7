"""A real Placement, on a MariaDB of its own or of others, without Keystone or with a real one."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

from dolium.clients.account import Account
from dolium.clients.placement import Placement
from dolium.drivers.claim.placement import PlacementClaim, PlacementOptions
from tests.databases import Database, MariaDb
from tests.live import identity
from tests.live.place import environment, port, until

PROGRAM = Path(__file__).parent / "served" / "serve_placement.py"
PYTHON = Path(__file__).parents[2] / ".venv-placement" / "bin" / "python"
# Placement's own second try takes what its first one wrote for usage that was there before, and so
# promises more than there is (openstack-placement 16.0.0): docs/howto/share-hosts-with-nova.md.
CONFIGURATION = """\
[DEFAULT]
log_file = {folder}/placement.log
[placement_database]
connection = {url}
sync_on_startup = true
[placement]
allocation_conflict_retry_count = 1
[api]
auth_strategy = {strategy}
"""


class Arbiter:
    """Started when made; `close` leaves nothing."""

    @staticmethod
    def missing() -> str:
        """What is not installed; empty when all is."""
        if not PYTHON.exists():
            return ".venv-placement is missing; scripts/bootstrap test makes it"
        return MariaDb.missing()

    def __init__(self, database: Database, folder: Path, *, signs_in: bool = False) -> None:
        """signs_in: who asks has an account of a Keystone beside it."""
        listen = port()
        self.url = f"http://127.0.0.1:{listen}"
        name = "guarded" if signs_in else "placement"
        url = database.make(name).set(drivername="mysql+pymysql")
        self.keystone = identity.beside(folder, {"placement": self.url}) if signs_in else None
        text = CONFIGURATION.format(
            folder=folder,
            url=url.render_as_string(hide_password=False),
            strategy="keystone" if self.keystone else "noauth2",
        )
        if self.keystone:
            text += identity.validation(self.keystone)
        (folder / "placement.conf").write_text(text)
        self._log = folder / "placement.out"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(PYTHON), str(PROGRAM), str(listen)],
                stdout=log,
                stderr=log,
                env=environment() | {"OS_PLACEMENT_CONFIG_DIR": str(folder)},
            )
        try:
            until(self._answers, "Placement does not answer")
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def client(self) -> Placement:
        """Of an administrator."""
        return Placement(Account(endpoint=self.url, token="admin"))

    def driver(self, deployment: str = "deployment") -> PlacementClaim:
        """Of one Dolium."""
        options = PlacementOptions(
            auth_url=self.url, username="", password="", project_name="", deployment=deployment
        )
        return PlacementClaim(options, self.client())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self.keystone:
            self.keystone.stop()
