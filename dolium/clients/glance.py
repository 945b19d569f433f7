"""What Dolium asks Glance: images as who asks may see them, and their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.clients.account import Account, auth

ANSWER_S = 20.0
"""How long one request may take, and one piece of an image."""
STORE_S = 600.0
"""How long Glance may take to store what it has got."""
PIECE = 256 * 1024
PAGE = 200
FORMAT = {"container_format": "docker", "disk_format": "raw"}


class Image(Struct, frozen=True, kw_only=True):
    """One image as Glance shows it."""

    id: str
    name: str | None = None
    status: str = ""
    """queued, saving, active, killed, deleted and more."""
    container_format: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    checksum: str | None = None
    """MD5, where Glance is too old for the other two."""
    size: int | None = None
    """Bytes."""
    tags: tuple[str, ...] = ()


class Glance:
    """The image API (v2), as a service; what bears a `token` is asked as its bearer.

    Raises Absent, Taken (409: another upload goes on, or is done), OverQuota, Forbidden for a
    bearer, NotOffered where the catalog has no Glance, and Unanswered, also for what an
    administrator of either side has to mend.
    """

    def __init__(self, account: Account) -> None:
        # Imported here: half a second that only who uses it needs.
        from keystoneauth1 import adapter, session

        self._session = session.Session(
            auth=auth(account), timeout=ANSWER_S, verify=account.cafile or True
        )
        self._http = adapter.Adapter(
            self._session,
            service_type="image",
            region_name=account.region_name or None,
            endpoint_override=account.endpoint or None,
        )

    def images(self, token: str, name: str | None = None) -> list[Image]:
        """All that its bearer sees of container format docker, or those of a name."""
        params = {"container_format": "docker", "limit": str(PAGE)}
        if name is not None:
            params["name"] = f"eq:{name}"  # or what is before a colon would be an operator
        found: list[Image] = []
        path = "/v2/images"
        while path:
            told = self._ask("GET", path, token, params=params).json()
            found += map(_image, told["images"])
            path, params = told.get("next") or "", {}
        return found

    def image(self, ident: str, token: str = "") -> Image:
        """One by its id."""
        return _image(self._ask("GET", f"/v2/images/{ident}", token).json())

    def create(self, ident: str, name: str, tag: str, token: str) -> None:
        """A new one of its bearer's project, which has no bytes yet."""
        body = {"id": ident, "name": name, "tags": [tag]} | FORMAT
        self._ask("POST", "/v2/images", token, json=body)

    def delete(self, ident: str) -> None:
        """Absent is fine."""
        try:
            self._ask("DELETE", f"/v2/images/{ident}")
        except errors.Absent:
            pass

    def read(self, ident: str) -> Iterator[bytes]:
        """Its bytes, piece by piece; what is raised before the first is raised here."""
        answer = self._ask("GET", f"/v2/images/{ident}/file", stream=True)
        if answer.status_code == 204:
            answer.close()
            raise errors.Absent(what=f"The content of image {ident}")
        return _pieces(answer)

    def write(self, ident: str, pieces: Iterable[bytes]) -> None:
        """Give it its bytes. What is raised while they are got is raised here too, and Glance
        takes a body that does not end for none.
        """
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v2/images/{ident}/file"
        # Signed in anew by another request: the pieces come only once.
        self._ask("GET", f"/v2/images/{ident}")
        timeout = (ANSWER_S, STORE_S)
        self._ask("PUT", path, data=pieces, headers=headers, allow_reauth=False, timeout=timeout)

    def _ask(self, verb: str, path: str, token: str = "", **more: Any) -> Any:
        from keystoneauth1 import exceptions

        try:
            return self._http.request(path, verb, log=False, **self._as(token), **more)
        except exceptions.EndpointNotFound:
            raise errors.NotOffered(driver="This cloud", what="images of Glance") from None
        except exceptions.http.NotFound:
            raise errors.Absent(what=path) from None
        except exceptions.http.Conflict as error:
            raise errors.Taken(why=f"Glance: {error}") from None
        except exceptions.http.RequestEntityTooLarge:
            raise errors.OverQuota(resources=["images of Glance"]) from None
        except (exceptions.http.Unauthorized, exceptions.http.Forbidden) as error:
            if token:
                raise errors.Forbidden(rule=f"{verb} {path} of Glance") from None
            raise errors.Unanswered(what="Glance", why=str(error)) from None
        except exceptions.http.HTTPClientError as error:
            if token:
                raise errors.InvalidValue(why=f"Glance: {error}") from None
            raise errors.Unanswered(what="Glance", why=str(error)) from None
        except exceptions.ConnectTimeout:
            raise errors.Unanswered(what="Glance", why="no answer in time") from None
        except exceptions.ConnectFailure:
            raise errors.Unanswered(what="Glance", why="no connection") from None
        except exceptions.ClientException as error:
            raise errors.Unanswered(what="Glance", why=str(error)) from None

    def _as(self, token: str) -> dict[str, Any]:
        """Who asks, where it is not this service."""
        if not token:
            return {}
        from keystoneauth1 import token_endpoint

        return {"auth": token_endpoint.Token(self._endpoint(), token)}

    def _endpoint(self) -> str:
        from keystoneauth1 import exceptions

        try:
            found = self._http.get_endpoint()
        except exceptions.ClientException as error:
            raise errors.Unanswered(what="Keystone", why=str(error)) from None
        if not found:
            raise errors.NotOffered(driver="This cloud", what="images of Glance")
        return str(found)


def _pieces(answer: Any) -> Iterator[bytes]:
    try:
        with answer:
            yield from answer.iter_content(PIECE)
    except OSError as error:  # what requests raises is one
        raise errors.Unanswered(what="Glance", why=str(error)) from None


def _image(told: dict[str, Any]) -> Image:
    known = {name: told[name] for name in Image.__struct_fields__ if told.get(name) is not None}
    return Image(**known | {"tags": tuple(told.get("tags") or ())})
