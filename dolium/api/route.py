"""A route: what is asked, who answers, by which rule, and what may come with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dolium import conf
from dolium.api import versions
from dolium.api.call import Answer, Call
from dolium.api.forms import Form

CONTAINERS = "/v1/containers"
CONTAINER = "/v1/containers/{container}"
"""A path that names a container finds it first: `call.row`."""

Accepts = Form | Callable[[conf.Limits], Form] | None
"""What a request may give; what depends on limits is made with them."""


class Route(NamedTuple):
    """One row of the table."""

    verb: str
    path: str
    answer: Callable[[Call], Answer]
    rule: str = ""
    """The policy rule; empty: for everybody, without a token."""
    since: int = versions.LOW
    until: int = versions.HIGH
    """First and last minor version that have it."""
    query: Accepts = None
    """Parameters that can be in the query string only."""
    params: Accepts = None
    """Parameters that may be in the query string, a form or a JSON body."""
    body: Accepts = None
    """The JSON body."""
    told: Any = None
    """The shape of the answer (api/shapes.py); None is JSON's null."""
    status: int = 200
    """HTTP status of an answer that is no refusal."""
    media: tuple[str, ...] = ("application/json",)
    """Content types that an answer may have."""

    def within(self, limits: conf.Limits) -> Route:
        """The same with its forms made."""
        query, params, body = (
            form(limits) if callable(form) else form
            for form in (self.query, self.params, self.body)
        )
        return self._replace(query=query, params=params, body=body)

    def take(self, call: Call) -> None:
        """Read what the request gives, as the forms say."""
        if isinstance(self.query, Form):
            call.asked = self.query.read(call.query(), call.version)
        if isinstance(self.params, Form):
            call.given = self.params.read(call.params(self.params.most), call.version)
        if isinstance(self.body, Form):
            sent = call.new() if self.verb == "POST" else call.body()
            call.given = self.body.read(sent, call.version)
