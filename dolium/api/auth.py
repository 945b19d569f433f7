"""Who asks: keystonemiddleware validates tokens, a memo remembers what it said for a while.

A token's first request costs a question to Keystone; those after it a hash and a look-up.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Protocol
from wsgiref.util import setup_testing_defaults

from msgspec import Struct

from dolium import errors
from dolium.clients import identity
from dolium.model.clock import Clock, SystemClock

MOST_REMEMBERED = 10_000

Environ = dict[str, Any]


class Who(Struct, frozen=True, kw_only=True):
    """What a valid token says about its bearer."""

    user_id: str
    project_id: str
    user_name: str = ""
    project_name: str = ""
    roles: tuple[str, ...] = ()


class Auth(Protocol):
    """What the border asks; raises Unauthorized, or Unanswered when Keystone is down."""

    def who(self, environ: Environ) -> Who:
        """The bearer of the request's token."""
        ...

    def warm(self) -> None:
        """Do now what the first request would have to wait for; never fails."""
        ...


class Options(Struct, frozen=True, kw_only=True):
    """How this service itself reaches Keystone."""

    auth_url: str
    username: str
    password: str
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    www_authenticate_uri: str = ""
    """Where users get tokens; empty: auth_url."""
    cafile: str = ""
    region_name: str = ""


class Keystone:
    """Tokens of a Keystone."""

    def __init__(self, options: Options, clock: Clock | None = None, keep_s: float = 60.0) -> None:
        """A valid token is believed for `keep_s`, never beyond its own end."""
        self._options = options
        self._clock = clock or SystemClock()
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._middleware: Any = None
        self._memo: dict[bytes, tuple[float, Who]] = {}

    def warm(self) -> None:
        """Import keystonemiddleware, which takes half a second, and get the token it asks with."""
        with _unheard("keystonemiddleware.auth_token"), suppress(errors.Error):
            self._validate(_nobody())  # the answer does not matter: the first request asks again

    def who(self, environ: Environ) -> Who:
        """The bearer; see Auth."""
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if not token:
            raise errors.Unauthorized(challenge=self._challenge())
        key = _key(token, environ.get("HTTP_X_SERVICE_TOKEN", ""))
        found = self._memo.get(key)
        if found and self._clock.monotonic() < found[0]:
            return found[1]
        who, seconds = self._validate(environ)
        if seconds > 0:
            self._remember(key, self._clock.monotonic() + seconds, who)
        return who

    def _challenge(self) -> str:
        return f'Keystone uri="{self._options.www_authenticate_uri or self._options.auth_url}"'

    def _remember(self, key: bytes, until: float, who: Who) -> None:
        with self._lock:
            if len(self._memo) >= MOST_REMEMBERED:
                now = self._clock.monotonic()
                kept = {k: v for k, v in self._memo.items() if v[0] > now}
                self._memo = kept if len(kept) < MOST_REMEMBERED else {}
            self._memo[key] = until, who

    def _validate(self, environ: Environ) -> tuple[Who, float]:
        """Ask keystonemiddleware; also tells how many seconds its answer may be kept."""
        asked = dict(environ)
        said: list[str] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            said.append(status)

        try:
            list(self._validator()(asked, start))
        except identity.failures() as error:
            raise errors.Unanswered(what="Keystone", why=str(error)) from None
        status = said[0][:3]
        if status == "401":
            raise errors.Unauthorized(challenge=self._challenge())
        if status != "204":
            raise errors.Unanswered(
                what="Keystone", why=f"it could not validate the token ({status})"
            )
        return _bearer(asked), self._keeps(asked["keystone.token_info"]["token"])

    def _keeps(self, token: dict[str, Any]) -> float:
        # Access rules are compared with each request's own method and path.
        if (token.get("application_credential") or {}).get("access_rules") is not None:
            return 0.0
        if token.get("bind"):
            return 0.0
        ends = datetime.fromisoformat(token["expires_at"].replace("Z", "+00:00"))
        return min(self._keep_s, ends.timestamp() - self._clock.now())

    def _validator(self) -> Any:
        with self._lock:
            if self._middleware is None:
                self._middleware = _middleware(self._options)
            return self._middleware


@contextmanager
def _unheard(name: str) -> Iterator[None]:
    """What this logger is told in this thread is no news: Keystone may be about to end, say."""
    me = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger = logging.getLogger(name)
    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)


def _nobody() -> Environ:
    """A request with a token that is none."""
    environ: Environ = {"HTTP_X_AUTH_TOKEN": "none"}
    setup_testing_defaults(environ)
    return environ


def _key(token: str, service_token: str) -> bytes:
    return hashlib.sha256(f"{token}\0{service_token}".encode("latin-1", "replace")).digest()


def _bearer(environ: Environ) -> Who:
    roles = environ.get("HTTP_X_ROLES", "")
    return Who(
        user_id=environ.get("HTTP_X_USER_ID", ""),
        project_id=environ.get("HTTP_X_PROJECT_ID", ""),
        user_name=environ.get("HTTP_X_USER_NAME", ""),
        project_name=environ.get("HTTP_X_PROJECT_NAME", ""),
        roles=tuple(sorted(filter(None, (role.strip().lower() for role in roles.split(","))))),
    )


def _validated(_environ: Environ, start: Any) -> list[bytes]:
    """The application behind keystonemiddleware: reached only with a valid token."""
    start("204 No Content", [])
    return []


def _middleware(options: Options) -> Any:
    from keystonemiddleware import auth_token  # half a second and 44 MB
    from oslo_config import cfg

    # An object of its own, without files: nothing leaks from or to the global configuration.
    source = cfg.ConfigOpts()
    source(args=[], project="dolium", default_config_files=[], default_config_dirs=[])
    given = {
        "auth_type": "password",
        "auth_url": options.auth_url,
        "username": options.username,
        "password": options.password,
        "project_name": options.project_name,
        "user_domain_name": options.user_domain_name,
        "project_domain_name": options.project_domain_name,
        "www_authenticate_uri": options.www_authenticate_uri or options.auth_url,
        "delay_auth_decision": False,
        "include_service_catalog": False,
        "service_type": "container",
        "service_token_roles_required": True,
        "token_cache_time": -1,  # the memo here is faster, and bounded
        "http_connect_timeout": 5,
        "http_request_max_retries": 1,
        "oslo_config_config": source,
    }
    if options.cafile:
        given["cafile"] = options.cafile
    if options.region_name:
        given["region_name"] = options.region_name
    return auth_token.AuthProtocol(_validated, given)
