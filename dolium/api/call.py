"""One request on its way through the API, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from dolium import conf, errors
from dolium.api.auth import Environ
from dolium.api.forms import MOST_BODY
from dolium.api.policy import Policy
from dolium.api.streams import Stream, Streams
from dolium.control.capsules import Capsules
from dolium.control.commits import Commits
from dolium.control.consoles import Consoles
from dolium.control.containers import Containers
from dolium.control.following import Following
from dolium.control.glance import Glance
from dolium.control.images import Images
from dolium.control.networks import Networks
from dolium.control.questions import Questions
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.control.watching import Watching
from dolium.link.serving import CLIENT, Client
from dolium.metrics.registry import Registry
from dolium.model import reading, record
from dolium.model.clock import Clock
from dolium.model.context import Context


def largest(limits: conf.Limits) -> int:
    """Bytes of the largest body of all: an archive, whose bytes may be written as six characters
    each.
    """
    return MOST_BODY + 6 * limits.archive


FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")
"""What proxies add to a request."""

_decode = reading.reader(dict[str, Any])


class Service(Struct, frozen=True, kw_only=True):
    """What answering needs; made once."""

    containers: Containers
    capsules: Capsules
    questions: Questions
    consoles: Consoles
    following: Following
    networks: Networks
    services: Services
    watching: Watching
    streams: Streams
    quotas: Quotas
    registries: Registries
    images: Images
    glance: Glance
    commits: Commits
    policy: Policy
    config: conf.Config
    clock: Clock
    registry: Registry
    description: Callable[[], bytes]
    """Of the whole API, in JSON."""


class Call:
    """Who asks, in which version, for what. `row` is there when the path names a container."""

    # No reference to the request: the request holds this, and a circle is work for the collector.
    __slots__ = ("_environ", "asked", "context", "given", "path", "row", "service", "version")

    row: record.Container
    asked: dict[str, Any]
    """Parameters of the query string, as the route's form reads them."""
    given: dict[str, Any]
    """The body, or an action's parameters, as the route's form reads them."""

    def __init__(self, environ: Environ, service: Service, context: Context, version: int) -> None:
        self._environ = environ
        self.service = service
        self.context = context
        self.version = version
        self.path: dict[str, str] = {}

    @property
    def prefix(self) -> str:
        """What absolute links begin with: as configured, or as the client addressed us."""
        if public := self.service.config.api.public:
            return public
        environ = self._environ
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        return f"{environ['wsgi.url_scheme']}://{host}{environ.get('SCRIPT_NAME', '')}"

    @property
    def forwarded(self) -> bool:
        """Whether a proxy passes this on for somebody."""
        return any(name in self._environ for name in FORWARDED)

    @property
    def client(self) -> Client | None:
        """The connection that the answer goes to; None where the server does not tell."""
        client: Client | None = self._environ.get(CLIENT)
        return client

    def header(self, name: str) -> str | None:
        """One of the request's headers."""
        value = self._environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        return None if value is None else str(value)

    @property
    def token(self) -> str:
        """Whose bearer asks: for services that are asked in his name."""
        return self.header("X-Auth-Token") or ""

    def query(self) -> dict[str, str]:
        """Parameters of the query string; of one given twice the last counts."""
        text = self._environ.get("QUERY_STRING")
        return dict(parse_qsl(text, keep_blank_values=True)) if text else {}

    def body(self, most: int = MOST_BODY) -> dict[str, Any]:
        """The JSON object in the body of at most so many bytes; an empty one is an empty object."""
        raw = self._raw(most)
        if not raw:
            return {}
        try:
            return _decode(raw)
        except msgspec.ValidationError:
            raise errors.Malformed(why="must be a JSON object.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.Malformed(why=f"is not valid JSON: {error}") from None
        except RecursionError:
            raise errors.Malformed(why="is nested too deeply.") from None

    def new(self) -> dict[str, Any]:
        """The body of a creation; raises WrongMedia unless it is declared as JSON."""
        if self._media() != "application/json":
            raise errors.WrongMedia()
        return self.body()

    def params(self, most: int = MOST_BODY) -> dict[str, Any]:
        """Parameters of an action: zunclient sends them in the query, tempest in the body."""
        query = self.query()
        if not self._length() and not self._chunked():
            return dict(query)
        if self._media() == "application/x-www-form-urlencoded":
            return query | dict(
                parse_qsl(self._raw(most).decode("latin-1"), keep_blank_values=True)
            )
        return query | self.body(most)

    def allow(
        self, rule: str, row: record.Container | None = None, project_id: str | None = None
    ) -> None:
        """Raise Forbidden unless the caller may do this: to the row, in the project, or in its
        own.
        """
        project = row.project_id if row else project_id or self.context.project_id
        user = row.user_id if row else self.context.user_id
        self.service.policy.check(rule, self.context, project, user)

    def _media(self) -> str:
        return str(self._environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()

    def _chunked(self) -> bool:
        return "chunked" in self._environ.get("HTTP_TRANSFER_ENCODING", "").lower()

    def _length(self) -> int:
        try:
            return max(0, int(self._environ.get("CONTENT_LENGTH") or 0))
        except ValueError:
            return 0

    def _raw(self, most: int) -> bytes:
        length = most + 1 if self._chunked() else self._length()
        if not length:
            return b""
        if length > most and not self._chunked():
            raise errors.TooLarge(most=most)
        try:
            raw = bytes(self._environ["wsgi.input"].read(length))
        except ValueError as error:  # of cheroot, about chunks that are none
            raise errors.Malformed(why=f"is not sent as HTTP has it: {error}") from None
        if len(raw) > most:
            raise errors.TooLarge(most=most)
        return raw


class Answer(Struct, frozen=True):
    """What is sent back; no body is 204's."""

    status: int
    body: bytes | None = None
    location: str | None = None
    media: str | None = None
    """Content type, where it is not JSON."""
    stream: Stream | None = None
    """Instead of a body: one that goes on."""


ACCEPTED = Answer(202, b"null")
GONE = Answer(204)
