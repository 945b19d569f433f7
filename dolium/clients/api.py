"""Dolium's own API, for the command line of its users: found in the catalog, asked as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.clients.clouds import Who
from dolium.model import reading

SERVICE = "container"
CONNECT_S = 10.0
LATER = frozenset({429, 500, 502, 503, 504})
"""Statuses after which asking again may help."""


class _Told(Struct):
    detail: str = ""


class _Body(Struct):
    errors: tuple[_Told, ...] = ()


class Api:
    """The container API of a cloud. Every method raises Unanswered for what may pass, and Refused
    for what asking again does not change, with the fact `status` where the API said it.
    """

    def __init__(self, who: Who) -> None:
        # Imported here: half a second that no other command needs.
        from keystoneauth1 import exceptions, loading, session

        try:
            loader: Any = loading.get_plugin_loader(who.kind)
            known = {option.dest for option in loader.get_options()}
            auth = loader.load_from_options(**{k: v for k, v in who.auth.items() if k in known})
        except exceptions.ClientException as error:
            raise errors.Refused(why=f"The credentials can't be used: {error}") from None
        self._session = session.Session(auth=auth, verify=who.verify, cert=who.certificate)
        self._where = {"service_type": SERVICE, "interface": who.interface}
        if who.region:
            self._where["region_name"] = who.region

    def get(self, path: str, **query: Any) -> Any:
        """An answer, decoded."""
        with self.stream(path, 60.0, **query) as chunks:
            return msgspec.json.decode(b"".join(chunks))

    @contextmanager
    def stream(
        self, path: str, silent_s: float, headers: dict[str, str] | None = None, **query: Any
    ) -> Iterator[Iterator[bytes]]:
        """An answer, as it comes. It ends when it is complete; one that breaks off, or is silent
        for so long, raises Unanswered.
        """
        reply = self._asked(path, silent_s, headers or {}, query)
        try:
            if reply.status_code >= 400:
                raise _refused(reply.status_code, b"".join(_chunks(reply)))
            yield _chunks(reply)
        finally:
            reply.close()

    def _asked(
        self, path: str, silent_s: float, headers: dict[str, str], query: dict[str, Any]
    ) -> Any:
        from keystoneauth1 import exceptions

        try:
            return self._session.get(
                path,
                endpoint_filter=self._where,
                params=query,
                headers=headers,
                stream=True,
                timeout=(CONNECT_S, silent_s),
                raise_exc=False,
            )
        except exceptions.EndpointNotFound:
            why = f"The catalog of this cloud has no {SERVICE} service"
            raise errors.Refused(why=why) from None
        except (exceptions.ConnectFailure, exceptions.RetriableConnectionFailure) as error:
            raise errors.Unanswered(what="The cloud", why=str(error)) from None
        except exceptions.HttpError as error:
            if error.http_status in LATER:
                raise errors.Unanswered(what="Keystone", why=str(error)) from None
            raise errors.Refused(why=f"Nobody is let in with these credentials: {error}") from None
        except exceptions.ClientException as error:
            raise errors.Refused(why=f"The credentials can't be used: {error}") from None


def _chunks(reply: Any) -> Iterator[bytes]:
    from requests import exceptions

    try:
        yield from reply.iter_content(None)
    except exceptions.RequestException as error:
        raise errors.Unanswered(what="Dolium", why=f"the answer broke off: {error}") from None


def _refused(status: int, body: bytes) -> errors.Error:
    try:
        detail = "; ".join(each.detail for each in reading.read(body, _Body).errors)
    except msgspec.DecodeError:
        detail = ""
    detail = detail or f"it said {status}"
    if status in LATER:
        return errors.Unanswered(what="Dolium", why=detail)
    return errors.Refused(why=detail, status=status)
