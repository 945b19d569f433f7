"""The HTTP server of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dolium.api.forms import MOST_BODY
from dolium.api.streams import Streams
from dolium.link.serving import Serving, Size, allow_files
from dolium.model.metric import Meter

if TYPE_CHECKING:
    import ssl

    from dolium.api.app import Wsgi

MOST_HEADERS = 64 * 1024
"""Bytes of all headers together: a token with a long catalog fits, nothing endless does."""

FILES = 4
"""Open for one stream at most: the client's, and of a log the host's and the pair between them."""


class Server(Serving):
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        app: Wsgi,
        listen: str = "127.0.0.1",
        port: int = 9517,
        threads: int = 16,
        context: Callable[[], ssl.SSLContext] | None = None,
        meter: Meter | None = None,
        streams: Streams | None = None,
        body: int = MOST_BODY,
    ) -> None:
        """Port 0 takes a free one; `port` tells which after the start. context: TLS. streams: the
        app's answers that go on. body: bytes of the largest one.
        """
        size = Size(
            threads=threads,
            connections=8 * threads,
            header=MOST_HEADERS,
            body=body,
        )
        super().__init__(
            app, listen, port, size, name="api", group="[api]", context=context, meter=meter
        )
        self._streams = streams
        if streams is not None:
            streams.grow = self.spare

    def start(self) -> None:
        """See Serving."""
        if self._streams is not None:
            allow_files(FILES * self._streams.most)
        super().start()

    def stop(self) -> None:
        """See Serving."""
        if self._streams is not None:
            self._streams.close()
        super().stop()
