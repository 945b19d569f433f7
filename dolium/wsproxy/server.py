"""Listens for clients' websockets and carries their bytes to consoles and back.

The one island of asyncio: hundreds of terminals may be open and silent, each of which would hold
a thread. What waits for a database or a host is done by a few threads beside.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import threading
from asyncio import sslproto
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from msgspec import Struct
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from dolium import errors
from dolium.link.pump import BUFFER, keep_alive
from dolium.link.serving import allow_files, bound
from dolium.model.ident import is_uuid
from dolium.model.metric import CONSOLES, CONSOLES_ASKED, Meter, Value
from dolium.wsproxy import origin

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

LOG = logging.getLogger(__name__)

Opens = Callable[[str, str, str], socket.socket]
"""From a token, a container's id and a command's id (empty: none) to a terminal; raises."""

BINARY = Subprotocol("binary")
FILES = 4
"""Open for one console at most: the client's, the host's, and the pair between them."""
OPENERS = 16
"""Consoles that are being opened at the same time; each waits for its host."""
OPEN_S = 60.0
"""How long that may take with all that comes before."""
RECORD = 16 * 1024
"""The most that TLS sends in one piece."""
CLOSE_S = 2.0
STOP_S = 10.0
LONGEST = 2**20
"""Bytes of a frame: what somebody pastes."""
QUEUE = 4
"""Frames of a client that are held until its console takes them."""
ENDED = 1000, "Target closed"

_TOKEN = re.compile("[A-Za-z0-9_-]{1,128}")
_EXEC = re.compile("[0-9a-f]{64}")


class Options(Struct, frozen=True, kw_only=True):
    """Where it listens, and for whom."""

    listen: str = "127.0.0.1"
    port: int = 6784
    """0 takes a free one."""
    base_url: str = "ws://127.0.0.1:6784/"
    allowed_origins: Sequence[str] = ()
    consoles: int = 2000


class Client(ServerConnection):
    """One connection, and the console that it is let in to."""

    console: socket.socket | None = None
    lost = False
    left: Callable[[], None] | None = None
    """Whom to tell, once, when it is lost."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        super().connection_made(transport)
        keep_alive(transport.get_extra_info("socket"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, maybe before anybody took the console."""
        super().connection_lost(exc)
        self.lost = True
        self.close_console()
        if self.left is not None:
            self.left()

    def close_console(self) -> None:
        """One that nobody took."""
        if self.console is not None:
            self.console.close()
            self.console = None


class Server:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        opens: Opens,
        options: Options,
        context: Callable[[], ssl.SSLContext] | None = None,
        meter: Meter | None = None,
    ) -> None:
        """context: TLS, by whatever context it returns when a client comes. `port` tells where
        it listens after the start.
        """
        self.port = options.port
        self._opens, self._options, self._current = opens, options, context
        self._meter = meter or Meter()
        self._quiet = logging.getLogger(f"{__name__}.websockets")
        self._quiet.setLevel(logging.CRITICAL)  # the library would log requests with their tokens
        self._threads = ThreadPoolExecutor(OPENERS, "consoles-open")
        self._open = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def start(self) -> None:
        """Take the port and begin to answer; raises StartError when it is taken."""
        allow_files(FILES * self._options.consoles)
        listening = bound(self._options.listen, self._options.port, "[wsproxy]")
        self.port = listening.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening, ready), name="wsproxy", daemon=True
        )
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close every console and answer no more."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_S)
            self._thread = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    def figures(self) -> list[Value]:
        """For who watches this process."""
        return [Value(CONSOLES, self._open)]

    def _run(self, listening: socket.socket, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listening, ready))
        except Exception:
            LOG.exception("the websocket proxy ended")
        finally:
            ready.set()

    async def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with serve(
            self._relay,
            sock=listening,
            ssl=self._tls(),
            create_connection=Client,
            process_request=_watched,
            process_response=self._let_in,
            select_subprotocol=lambda _, offered: BINARY if BINARY in offered else None,
            compression=None,  # 64 KiB of each console's memory, and terminals write little
            # zunclient takes a ping for the beginning of output, and waits for that.
            ping_interval=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=LONGEST,
            max_queue=QUEUE,
            server_header="dolium",
            logger=self._quiet,
        ):
            ready.set()
            await self._stopping.wait()

    def _tls(self) -> ssl.SSLContext | None:
        """A context that hands every client over to the one that is current."""
        if self._current is None:
            return None
        current = self._current

        def choose(client: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            client.context = current()

        # asyncio keeps a buffer for each connection, of 256 KiB unless it is told otherwise.
        sslproto.SSLProtocol.max_size = RECORD
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = choose
        return context

    # --- coming in ---------------------------------------------------------------------------

    async def _let_in(
        self, client: ServerConnection, request: Request, response: Response
    ) -> Response | None:
        """Before a handshake ends. A command runs when it has: its client resizes it at once."""
        assert isinstance(client, Client)
        if response.status_code != 101:
            return None
        uuid = ""
        try:
            self._check_origin(request)
            token, uuid, exec_id = _asked(request.path)
            self._seat(client)
            client.console = await self._opened(token, uuid, exec_id)
            if client.lost:
                client.close_console()
                return None
        except errors.Error as error:
            LOG.info("nobody was let in to a console of %s: %s", uuid or "a container", error)
            return self._refused(client, error)
        except Exception:
            LOG.exception("nobody was let in to a console: a bug")
            return self._refused(client, errors.Error())
        self._meter.count(CONSOLES_ASKED, "opened")
        return None

    def _seat(self, client: Client) -> None:
        if self._open >= self._options.consoles:
            raise errors.Crowded(most=self._options.consoles, what="consoles")
        self._open += 1
        client.left = self._left

    def _left(self) -> None:
        self._open -= 1

    def _check_origin(self, request: Request) -> None:
        origin.check(
            _header(request, "Origin"),
            _header(request, "Host") or "",
            _header(request, "X-Forwarded-Proto"),
            self._options.base_url,
            self._options.allowed_origins,
        )

    async def _opened(self, token: str, uuid: str, exec_id: str) -> socket.socket:
        opening = self._threads.submit(self._opens, token, uuid, exec_id)
        try:
            return await asyncio.shield(asyncio.wrap_future(opening))
        except asyncio.CancelledError:  # the client took too long, or everything stops
            opening.add_done_callback(_unwanted)
            raise

    def _refused(self, client: Client, error: errors.Error) -> Response:
        status = REFUSALS.get(type(error), error.status)
        self._meter.count(CONSOLES_ASKED, "failed" if status >= 500 else "refused")
        response = client.respond(status, f"{error}\n")
        if error.retry is not None:
            response.headers["Retry-After"] = str(max(1, round(error.retry)))
        return response

    # --- being in ----------------------------------------------------------------------------

    async def _relay(self, client: ServerConnection) -> None:
        assert isinstance(client, Client)
        console, client.console = client.console, None
        if console is None:
            return  # it was lost before
        console.setblocking(False)
        with console:
            ways = [
                asyncio.create_task(_out(console, client)),
                asyncio.create_task(_in(client, console)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        await client.close(*ENDED)


REFUSALS: dict[type[errors.Error], int] = {
    errors.NoConsole: 404,
}
"""Statuses of a handshake that differ from those of a request."""


async def _out(console: socket.socket, client: Client) -> None:
    """What the terminal shows."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := await loop.sock_recv(console, BUFFER):
            await client.send(data)


async def _in(client: Client, console: socket.socket) -> None:
    """What somebody types."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionClosed, OSError):
        async for typed in client:
            data = typed if isinstance(typed, bytes) else typed.encode()
            await loop.sock_sendall(console, data)


def _watched(client: ServerConnection, request: Request) -> Response | None:
    """A load balancer looks whether somebody is here."""
    return client.respond(200, "OK\n") if request.path == "/healthcheck" else None


def _header(request: Request, name: str) -> str | None:
    """One that came several times is one that nobody understands."""
    values = request.headers.get_all(name)
    return ", ".join(values) if values else None


def _asked(path: str) -> tuple[str, str, str]:
    """Token, container and command of an address; raises BadToken when it was never handed out."""
    query = parse_qs(path.partition("?")[2], keep_blank_values=True)
    token, uuid, exec_id = (query.get(name, [""])[0] for name in ("token", "uuid", "exec_id"))
    if not (_TOKEN.fullmatch(token) and is_uuid(uuid)):
        raise errors.BadToken()
    if exec_id and not _EXEC.fullmatch(exec_id):
        raise errors.BadToken()
    return token, uuid, exec_id


def _unwanted(opening: Future[socket.socket]) -> None:
    """A console that was opened for nobody."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
