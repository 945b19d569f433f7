"""A host's side of the https link: enrolling, the certificate it keeps, and its own small server.

Everything is in one file, replaced as a whole: what was enrolled last. The key is made when a host
enrols; a renewal certifies it anew, so that a running agent needs no cryptography of its own.
"""

from __future__ import annotations

import logging
import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.link import tls
from dolium.link.base import Agent
from dolium.link.endpoints import Call, Endpoint, Endpoints
from dolium.link.https import HttpsControl, place, towards
from dolium.link.https_client import Wire
from dolium.link.keeper import EVERY_S, Keeper
from dolium.link.peer import CONTROL
from dolium.link.serving import Serving, Size
from dolium.link.wire import MOST_ASKED, Nothing
from dolium.model import reading
from dolium.model.clock import Clock
from dolium.model.enrolment import Authority, Certified, Enrol, Token
from dolium.model.metric import Meter
from dolium.model.wish import Answer, Question

LOG = logging.getLogger(__name__)

FILE = "identity.json"
PATIENCE_S = 30.0
"""How long enrolling may take, and one call of it."""
TRIES = 3
SIZE = Size(threads=8, connections=64, idle_s=60, header=16 * 1024, body=MOST_ASKED)

T = TypeVar("T")


class Kept(Struct, frozen=True, kw_only=True):
    """What a host keeps of its enrolment."""

    host: str
    key: str
    request: str
    certificate: str
    trusted: str
    until: float
    deployment: str = ""

    def pems(self) -> tls.Pems:
        """For TLS."""
        return tls.Pems(
            certificate=self.certificate.encode(),
            key=self.key.encode(),
            trusted=self.trusted.encode(),
            until=self.until,
        )


def read(folder: Path) -> Kept:
    """What is kept in a folder; raises StartError when the host is not enrolled."""
    try:
        return reading.read((folder / FILE).read_bytes(), Kept)
    except FileNotFoundError:
        why = "is not enrolled"
    except (OSError, msgspec.DecodeError) as error:
        why = f"has lost its enrolment ({error})"
    raise errors.StartError(
        why=f"This host {why}: make a token with `dolium host token NAME` on a control node and "
        "give it to `dolium enrol`"
    )


def keep(folder: Path, kept: Kept) -> None:
    """Replace it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls.write(folder / FILE, msgspec.json.encode(kept))


def enrol(folder: Path, host: str, urls: Sequence[str], token: Token) -> Kept:
    """Turn a token into a certificate. Raises Untrusted when it is refused, or Unanswered."""
    from dolium.link import certificates

    key, request = certificates.request()
    asked = Enrol(host=host, secret=token.secret, request=request.decode())
    for number in range(TRIES):
        try:
            certified = _first(urls, lambda address, port: _enrol(address, port, token, asked))
            break
        except errors.Unanswered:  # the token may be spent; for the same key it still counts
            if number == TRIES - 1:
                raise
            time.sleep(1.0)
    kept = Kept(
        host=certified.host,
        key=key.decode(),
        request=request.decode(),
        certificate=certified.certificate,
        trusted=certified.trusted,
        until=certified.until,
        deployment=certified.deployment,
    )
    keep(folder, kept)
    return kept


def _enrol(address: str, port: int, token: Token, asked: Enrol) -> Certified:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE  # only to learn what the token can vouch for
    told = _call(address, port, stranger, "authority", Nothing(), Authority)
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.minimum_version = ssl.TLSVersion.TLSv1_3
    trusted.check_hostname = False
    trusted.load_verify_locations(cadata=_vouched(told.trusted, token.fingerprint, address))
    return _call(address, port, trusted, "enrol", asked, Certified)


def _vouched(trusted: str, fingerprint: bytes, address: str) -> str:
    """Of what a control process calls its CA, the certificate that the token names."""
    for piece in trusted.split(ssl.PEM_FOOTER)[:-1]:
        pem = f"{piece.strip()}\n{ssl.PEM_FOOTER}\n"
        if tls.fingerprint(pem) == fingerprint:
            return pem
    raise errors.Untrusted(
        why=f"At {address} is not the Dolium that the token was made by: its CA is another one"
    )


def _call(
    address: str, port: int, context: ssl.SSLContext, name: str, message: Struct, kind: type[T]
) -> T:
    # Who is at the other end is known by the CA alone; hosts have certificates of it too.
    checked = context.verify_mode is ssl.CERT_REQUIRED
    wire = Wire(
        address,
        port,
        lambda: context,
        lambda peer: not checked or (peer is not None and peer.role == CONTROL),
    )
    try:
        body, _ = wire.call(name, msgspec.json.encode(message), PATIENCE_S)
    finally:
        wire.close()
    return reading.read(body, kind)


def _first(urls: Sequence[str], work: Callable[[str, int], T]) -> T:
    """The answer of the first control process that gives one."""
    if not urls:
        raise errors.StartError(why="[link] url does not say where the control side is")
    for url in urls:
        try:
            return work(*place(url))
        except errors.Unanswered as error:
            last = error
    raise last


class HostEnd:
    """A host's end of the link.

    Give `control` to the agent, then call `serve` with the agent, then start the agent.

    Args:
        folder: where `enrol` has put the certificate.
        host: the name in the configuration, which must be the enrolled one.
        urls: the control processes; one that answers is enough.
        listen, port: where questions are answered; port 0 takes a free one.
        address: what the control side is told instead of the address that leads to it.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        urls: Sequence[str],
        rng: random.Random,
        clock: Clock,
        listen: str = "127.0.0.1",
        port: int = 9519,
        address: str = "",
        every_s: float = EVERY_S,
        meter: Meter | None = None,
    ) -> None:
        if not urls:
            raise errors.StartError(why="[link] url does not say where the control side is")
        self._kept = read(folder)
        if self._kept.host != host:
            raise errors.StartError(
                why=f"This host is enrolled as {self._kept.host}, but [DEFAULT] host says {host}"
            )
        self._folder, self._host, self._clock = folder, host, clock
        self._listen, self._port, self._address = listen, port, address
        self._meter = meter or Meter()
        self._mark = self._look()
        self._stopping = threading.Event()
        self._identity = tls.Identity(self._kept.pems())
        self.control = HttpsControl(
            host, urls, self._identity, rng, clock, self._stopping, self._where
        )
        self._serving: Serving | None = None
        self._keeper = Keeper("link-keeper", [self.refresh], every_s)

    @property
    def deployment(self) -> str:
        """Id of the installation that this host is enrolled with."""
        return self._kept.deployment

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._serving.port if self._serving else self._port

    def serve(self, agent: Agent) -> None:
        """Before the agent says hello: answer questions from now on."""

        def ask(call: Call) -> Answer:
            question: Question = call.message
            return agent.answer(question)

        def console(call: Call) -> Answer:
            try:
                call.taker = agent.open(call.message).join
            except errors.Error as error:
                return Answer(code=error.code, facts=error.facts)
            return Answer()

        table = {
            "ask": Endpoint(Question, (CONTROL,), ask),
            "console": Endpoint(Question, (CONTROL,), console),
        }
        self._serving = Serving(
            Endpoints(table, lambda peer: None, self._clock, self._meter),
            self._listen,
            self._port,
            SIZE,
            name="questions",
            group="[link] agent",
            context=self._identity.server,
            meter=self._meter,
        )
        self._serving.start()
        self._keeper.start()

    def stop(self) -> None:
        """After the agent: answer no more."""
        self._stopping.set()
        self._keeper.stop()
        if self._serving:
            self._serving.stop()
        self.control.close()

    def refresh(self) -> None:
        """A few times a minute: renew in time, and take what `dolium enrol` wrote meanwhile."""
        mark = self._look()
        if mark != self._mark:
            self._take(read(self._folder))
            self._mark = mark
        if not self._identity.pems.due(self._clock.now()):
            return
        certified = self.control.renew(self._kept.request)
        kept = msgspec.structs.replace(
            self._kept,
            certificate=certified.certificate,
            trusted=certified.trusted,
            until=certified.until,
        )
        keep(self._folder, kept)
        self._take(kept)
        self._mark = self._look()
        LOG.info("host %s has a new certificate", self._host)

    def _take(self, kept: Kept) -> None:
        self._kept = kept
        self._identity.take(kept.pems())

    def _look(self) -> tuple[int, int]:
        stat = os.stat(self._folder / FILE)
        return stat.st_ino, stat.st_mtime_ns

    def _where(self, control: str) -> tuple[str, int]:
        return self._address or towards(control), self.port
