"""Consoles: who may come to a terminal, and the way to it on the container's host.

The API hands out addresses with tokens, any process with a way to hosts lets their bearers in.
"""

from __future__ import annotations

import secrets
import socket
from typing import Any
from urllib.parse import urlencode

from dolium import errors
from dolium.control.containers import asked
from dolium.control.questions import ask, question, words
from dolium.link.base import Hosts
from dolium.model import reading, record
from dolium.model.clock import Clock
from dolium.model.container import Shown
from dolium.model.enrolment import digest
from dolium.store import consoles, containers
from dolium.store.store import Store, Tx

TTL_S = 60.0
"""How long a token is good."""


class Consoles:
    """Safe to use from many threads."""

    def __init__(self, store: Store, clock: Clock, link: Hosts, base_url: str) -> None:
        """base_url: where clients find the websocket proxy, such as `ws://127.0.0.1:6784/`."""
        self._store, self._clock, self._link, self._base_url = store, clock, link, base_url

    # --- for the API -------------------------------------------------------------------------

    def attach(self, row: record.Container) -> str:
        """The address of the console of a container's main process."""
        asked(row, "attach")
        if not reading.read(row.shown, Shown).interactive:
            raise errors.NotInteractive()
        return self._address(row)

    def resize(self, row: record.Container, height: int, width: int) -> None:
        """Of that console's window. Raises NoConsole when it is none."""
        self._ask(row, "resize", "resize", {"height": height, "width": width})

    def execute(self, row: record.Container, command: str) -> dict[str, Any]:
        """Prepare a command that runs as soon as somebody comes to its console."""
        argv = words(command)
        exec_id = str(self._ask(row, "execute", "exec_create", {"argv": argv}))
        return {
            "output": None,
            "exit_code": None,
            "exec_id": exec_id,
            "proxy_url": self._address(row, exec_id),
        }

    def execute_resize(self, row: record.Container, exec_id: str, height: int, width: int) -> None:
        """Of that console's window. Raises NoConsole unless the command runs."""
        params = {"exec_id": exec_id, "height": height, "width": width}
        self._ask(row, "execute_resize", "exec_resize", params)

    def _ask(self, row: record.Container, verb: str, what: str, params: dict[str, Any]) -> Any:
        """verb: what the user asks for, which the container's status has to allow."""
        return ask(self._link, asked(row, verb), question(row, what, params))

    def _address(self, row: record.Container, exec_id: str = "") -> str:
        token = secrets.token_urlsafe(32)
        stored, until = digest(token), self._clock.now() + TTL_S
        self._store.write(lambda tx: consoles.offer(tx, stored, row.uuid, exec_id, until))
        query = {"token": token, "uuid": row.uuid} | ({"exec_id": exec_id} if exec_id else {})
        return f"{self._base_url}?{urlencode(query)}"

    # --- for the proxy -----------------------------------------------------------------------

    def open(self, token: str, uuid: str, exec_id: str = "") -> socket.socket:
        """Let the bearer of a token in, once; what is read and written is the terminal's.

        Raises BadToken, NotFound when the container is gone, WrongState when it does not run,
        HostDown, and NoConsole when the command was started before.
        """
        stored, now = digest(token), self._clock.now()

        def work(tx: Tx) -> bool:
            return consoles.spend(tx, stored, uuid, exec_id, now)

        if not self._store.write(work):
            raise errors.BadToken()
        with self._store.glance() as connection:
            row = containers.get(connection, uuid)
        if row is None:
            raise errors.NotFound(kind="Container", id=uuid)
        if exec_id:
            asks = question(row, "exec_start", {"exec_id": exec_id})
        else:
            asks = question(row, "attach", {})
        return self._link.open(asked(row, "execute" if exec_id else "attach"), asks)
