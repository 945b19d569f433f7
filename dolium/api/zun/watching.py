"""What who watches this process reads: whether it is well, and its figures. No token is needed."""

from __future__ import annotations

from dolium import errors
from dolium.api.call import Answer, Call
from dolium.api.route import Route


def healthcheck(call: Call) -> Answer:
    """`GET /healthcheck`: 200 when all parts of this process are well, else 503 naming them."""
    healthy, body = call.service.registry.health(told=False)
    return Answer(200 if healthy else 503, body)


def metrics(call: Call) -> Answer:
    """`GET /metrics`: for Prometheus on this machine, where nobody else can ask."""
    if not call.service.config.api.local or call.forwarded:
        raise errors.NotFound(kind="Page", id="/metrics")
    body, media = call.service.registry.text()
    return Answer(200, body, media=media)


ROUTES = (
    Route("GET", "/healthcheck", healthcheck, told=dict),
    Route("GET", "/metrics", metrics, told=str, media=("text/plain",)),
)
