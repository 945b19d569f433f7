"""Nova as a fence, for hosts that are servers of a cloud: the server has the host's name."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from dolium import errors
from dolium.clients.account import account
from dolium.clients.nova import Nova, Server
from dolium.drivers.fence.base import Driver

SHUT_DOWN = 4
"""The power state of what is off."""
LOOK_S = 2.0
"""Between two looks at a server that is being stopped."""
GONE = frozenset({"DELETED", "SOFT_DELETED"})


class NovaOptions(Struct, frozen=True, kw_only=True):
    """Whose servers they are, and whether they may be stopped."""

    auth_url: str
    username: str
    password: str
    project_name: str
    domain_name: str = "Default"
    region_name: str = ""
    power_off: bool = True
    timeout_s: float = 60.0


class NovaFence(Driver):
    """A server that is shut down or deleted runs nothing."""

    name = "nova"
    Options = NovaOptions

    def __init__(
        self,
        options: NovaOptions,
        nova: Nova | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """nova, sleep: others than the real ones, for tests."""
        if not options.auth_url:
            raise errors.StartError(why="[fence_nova] auth_url is not set")
        self._options = options
        self._known = nova
        self._sleep = sleep

    @property
    def _nova(self) -> Nova:
        if self._known is None:
            self._known = Nova(account(self._options))
        return self._known

    def off(self, host: str) -> str:
        """See base."""
        found = self._nova.named(host)
        if len(found) > 1:
            raise errors.Refused(why=f"{len(found)} servers are named {host}")
        if not found:
            return self._deleted(host)
        server = found[0]
        if is_off(server):
            return f"server {server.id} is {server.status}"
        if not self._options.power_off:
            raise errors.Refused(why=f"Server {server.id} is {server.status}")
        self._stop(server)
        return self._wait(server)

    def _deleted(self, host: str) -> str:
        """A name that no server ever had proves nothing."""
        past = self._nova.named(host, deleted=True)
        if not past or any(server.status not in GONE for server in past):
            raise errors.Refused(why=f"No server is named {host}")
        return f"server {past[0].id} is {past[0].status}"

    def _stop(self, server: Server) -> None:
        try:
            self._nova.stop(server.id)
        except (errors.Refused, errors.Absent):
            pass  # another conductor was quicker, or it ends by itself: the look decides

    def _wait(self, server: Server) -> str:
        left = self._options.timeout_s
        while True:
            seen = self._nova.server(server.id)
            if seen is None:
                return f"server {server.id} is deleted"
            if is_off(seen):
                return f"server {server.id} is {seen.status}"
            if left <= 0:
                why = f"server {server.id} is still {seen.status}"
                raise errors.Unanswered(what="Nova", why=why)
            self._sleep(LOOK_S)
            left -= LOOK_S


def is_off(server: Server) -> bool:
    """Whether nothing of it runs, and nothing is under way that could change that."""
    if server.status in GONE:
        return True
    down = server.power_state in (None, SHUT_DOWN)
    return server.status == "SHUTOFF" and server.task_state is None and down
