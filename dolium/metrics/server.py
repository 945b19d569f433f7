"""A small HTTP server beside a role: `/metrics` for Prometheus, `/healthcheck` for who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dolium.link.serving import Serving, Size
from dolium.metrics.registry import Registry

if TYPE_CHECKING:
    import ssl

SIZE = Size(threads=2, connections=16, header=8 * 1024, body=1024)
JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"

Page = tuple[str, str, bytes]
"""Status line, media type, body."""


class Watch(Serving):
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        listen: str,
        port: int,
        registry: Registry,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Port 0 takes a free one; `port` tells which after the start. context: TLS."""
        super().__init__(
            _pages(registry),
            listen,
            port,
            SIZE,
            name="metrics",
            group="[metrics]",
            context=context,
            meter=registry.meter,
        )


def _pages(registry: Registry) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    def metrics() -> Page:
        body, media = registry.text()
        return "200 OK", media, body

    def healthcheck() -> Page:
        healthy, body = registry.health()
        return "200 OK" if healthy else "503 Service Unavailable", JSON, body

    pages = {"/metrics": metrics, "/healthcheck": healthcheck}

    def answer(environ: dict[str, Any], start: Any) -> list[bytes]:
        page = pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            status, media, body = "404 Not Found", PLAIN, b"/metrics and /healthcheck are here\n"
        elif environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            status, media, body = "405 Method Not Allowed", PLAIN, b"only GET\n"
        else:
            status, media, body = page()
        start(status, [("Content-Type", media), ("Content-Length", str(len(body)))])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return answer
