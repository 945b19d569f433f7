"""What Dolium asks Placement: providers of resources, what they have, and who takes what of it."""

from __future__ import annotations

from typing import Any

from dolium import errors
from dolium.clients.account import Account, auth

MICROVERSION = "1.38"
"""The first in which a consumer has a type (OpenStack Xena)."""
ANSWER_S = 30.0
"""How long one request may take."""
CONCURRENT = "placement.concurrent_update"
CONSUMER, OF_CONSUMER = "Consumer", "consumer generation conflict"
NO_SUCH = "that does not exist"


class Placement:
    """The placement API. Raises Absent, Refused (409: the answer is a definite no), Changed
    (409: somebody was quicker) and Unanswered.
    """

    def __init__(self, account: Account) -> None:
        # Imported here: half a second that only who uses it needs.
        from keystoneauth1 import adapter, session

        self._http = adapter.Adapter(
            session.Session(auth=auth(account), timeout=ANSWER_S),
            service_type="placement",
            region_name=account.region_name or None,
            endpoint_override=account.endpoint or None,
            default_microversion=MICROVERSION,
        )

    def provider_named(self, name: str) -> str | None:
        """The id of the provider of a name."""
        found = self._ask("GET", "/resource_providers", params={"name": name})
        return next((each["uuid"] for each in found["resource_providers"]), None)

    def make_provider(self, uuid: str, name: str) -> None:
        """A new one; Refused when the id or the name is taken."""
        self._ask("POST", "/resource_providers", json={"uuid": uuid, "name": name})

    def inventories(self, provider: str) -> tuple[dict[str, Any], int]:
        """What a provider has by resource class, and its generation."""
        found = self._ask("GET", f"/resource_providers/{provider}/inventories")
        return found["inventories"], found["resource_provider_generation"]

    def set_inventories(self, provider: str, inventories: dict[str, Any], generation: int) -> None:
        """Replace all it has."""
        body = {"inventories": inventories, "resource_provider_generation": generation}
        self._ask("PUT", f"/resource_providers/{provider}/inventories", json=body)

    def taken(self, provider: str) -> dict[str, dict[str, int]]:
        """What each consumer has of a provider, by resource class; always all of them."""
        found = self._ask("GET", f"/resource_providers/{provider}/allocations")
        return {name: each["resources"] for name, each in found["allocations"].items()}

    def allocations(self, consumer: str) -> dict[str, Any]:
        """What a consumer has; without `consumer_generation` it has nothing."""
        found: dict[str, Any] = self._ask("GET", f"/allocations/{consumer}")
        return found

    def allocate(self, wanted: dict[str, dict[str, Any]]) -> None:
        """Give many consumers what they ask for, all of them or none."""
        self._ask("POST", "/allocations", json=wanted)

    def reallocate(self, consumer: str, wanted: dict[str, Any]) -> None:
        """Replace what one consumer has."""
        self._ask("PUT", f"/allocations/{consumer}", json=wanted)

    def deallocate(self, consumer: str) -> None:
        """Take all from a consumer; Absent when it has nothing."""
        self._ask("DELETE", f"/allocations/{consumer}")

    def _ask(self, verb: str, path: str, **more: Any) -> Any:
        from keystoneauth1 import exceptions

        try:
            answer = self._http.request(path, verb, headers={"Accept": "application/json"}, **more)
        except exceptions.http.NotFound:
            raise errors.Absent(what=path) from None
        except exceptions.http.Conflict as error:
            code, why = _error(error)
            if code == CONCURRENT:
                kind = CONSUMER if OF_CONSUMER in why else "Provider"
                raise errors.Changed(kind=kind, id=path) from None
            raise errors.Refused(why=why) from None
        except exceptions.http.BadRequest as error:
            why = _error(error)[1]
            if NO_SUCH in why:  # of a provider that is named in the body
                raise errors.Absent(what=path) from None
            raise errors.DriverError(why=f"Placement: {why}") from None
        except exceptions.ClientException as error:
            raise errors.Unanswered(what="Placement", why=str(error)) from None
        return answer.json() if answer.content else {}


def _error(error: Any) -> tuple[str, str]:
    """Code and sentence of what Placement answers."""
    try:
        (told,) = error.response.json()["errors"]
        return str(told.get("code", "")), str(told["detail"]).strip()
    except (AttributeError, KeyError, TypeError, ValueError):
        return "", str(error)
