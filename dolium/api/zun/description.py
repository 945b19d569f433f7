"""The description of this API, for programs that read it. An addition to Zun's API."""

from __future__ import annotations

from dolium.api.call import Answer, Call
from dolium.api.route import Route


def show(call: Call) -> Answer:
    """`GET /v1/openapi.json`: all of this, as OpenAPI 3.1."""
    return Answer(200, call.service.description())


ROUTES = (Route("GET", "/v1/openapi.json", show, told=dict),)
