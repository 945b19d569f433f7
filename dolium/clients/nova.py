"""What Dolium asks Nova: whether a server that is a host is off, to stop it, and where it runs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.clients.account import Account, auth

ANSWER_S = 20.0
"""How long one request may take."""


class Server(Struct, frozen=True, kw_only=True):
    """One server as Nova shows it."""

    id: str
    name: str
    status: str
    task_state: str | None = None
    power_state: int | None = None
    """1 is running, 4 is shut down, as the hypervisor last said."""
    hypervisor: str = ""
    """The machine it is on: its name where Nova shows that (to administrators), else what stands
    for it within the project; empty: on none now.
    """


class Nova:
    """The compute API of one project."""

    def __init__(self, account: Account) -> None:
        # Imported here: half a second that only who uses it needs.
        from keystoneauth1 import adapter, session

        self._http = adapter.Adapter(
            session.Session(auth=auth(account), timeout=ANSWER_S),
            service_type="compute",
            region_name=account.region_name or None,
        )

    def named(self, name: str, *, deleted: bool = False) -> list[Server]:
        """Servers of exactly this name; deleted ones only an administrator is shown."""
        params = {"name": f"^{name}$"} | ({"deleted": "true"} if deleted else {})
        found = self._ask("GET", "/servers/detail", params=params)["servers"]
        return [_server(each) for each in found if each["name"] == name]

    def server(self, ident: str) -> Server | None:
        """One by its id; None when Nova has it no longer."""
        try:
            return _server(self._ask("GET", f"/servers/{ident}")["server"])
        except errors.Absent:
            return None

    def stop(self, ident: str) -> None:
        """Turn it off; Refused when it is on its way already or can't be now."""
        self._ask("POST", f"/servers/{ident}/action", json={"os-stop": None})

    def _ask(self, verb: str, path: str, **more: Any) -> Any:
        from keystoneauth1 import exceptions

        try:
            answer = self._http.request(path, verb, **more)
        except exceptions.http.NotFound:
            raise errors.Absent(what=path) from None
        except exceptions.http.HTTPClientError as error:
            raise errors.Refused(why=f"Nova: {error}") from None
        except exceptions.ClientException as error:
            raise errors.Unanswered(what="Nova", why=str(error)) from None
        return answer.json() if answer.content else {}


def _server(told: dict[str, Any]) -> Server:
    return Server(
        id=told["id"],
        name=told["name"],
        status=told["status"],
        task_state=told.get("OS-EXT-STS:task_state"),
        power_state=told.get("OS-EXT-STS:power_state"),
        hypervisor=told.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or told.get("hostId") or "",
    )
