"""Getting images: which registry a name means, and what to do when that registry is silent.

A Docker Engine waits 13-20 s for the DNS of a name nobody knows (measured), so silence is
judged here, by the time until the first byte of its answer, and remembered for all pulls of
that registry.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from dolium import errors
from dolium.drivers.engine.docker_errors import clean, fail
from dolium.drivers.engine.docker_progress import Layers, Line
from dolium.drivers.engine.docker_socket import Client, Stream
from dolium.model import reading
from dolium.model.image import Found, Held, Progress, reserved
from dolium.model.registry import Login

SILENT_S = 3.0
"""Until the first byte of an answer; then a present image serves (decision 5)."""
REMEMBER_S = 60.0
"""How long present images serve without asking a silent registry again."""
REMEMBER_ABSENT_S = 10.0
"""The same for images that are not present: who waits for one wants to know sooner."""
ANSWER_S = 30.0
"""Longest wait for a registry when the image is not present."""
STALL_S = 180.0
"""Longest silence of a pull that has begun."""
REMOVE_S = 120.0
"""Large images have many files."""
HUB = "docker.io"
ASK_S = 0.2
"""How often `stop` is asked."""

_NAME = re.compile(
    # Only a dot, a port or `localhost` make the first part a registry.
    r"(?:(?P<registry>(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|\[[0-9a-fA-F:]+\])(?::\d+)?"
    r"|[a-zA-Z0-9-]+:\d+)/)?"
    r"(?P<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,}))?"
)
_SILENT = re.compile(
    r"dial (?:tcp|udp)|lookup .*:|no such host|i/o timeout|unreachable|no route to host"
    r"|connection refused|connection reset|handshake timeout|Client\.Timeout|deadline exceeded"
    r"|\bEOF\b|HTTP status:? 5\d\d|toomanyrequests|server misbehaving|temporary failure",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"pull access denied|not found|manifest unknown|name unknown|does not exist"
    r"|no matching manifest|no such image|name invalid",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"unauthorized|authentication required|no basic auth credentials|incorrect username"
    r"|denied|forbidden",
    re.IGNORECASE,
)


class Reference(Struct, frozen=True):
    """An image's name, taken apart."""

    registry: str
    full: str
    """As the engine is asked for it: never without tag or digest, which would mean all tags."""


def parse(image: str) -> Reference:
    """What a user's name means; raises Refused when it is no name of an image."""
    found = _NAME.fullmatch(image)
    if found is None:
        raise errors.Refused(why=f"'{image}' is not the name of an image")
    full = image if found["tag"] or found["digest"] else f"{image}:latest"
    return Reference(found["registry"] or HUB, full)


class InspectedImage(Struct, rename="pascal"):
    """/images/{name}/json."""

    id: str
    size: int = 0


class _Wanted(NamedTuple):
    """One wish for an image."""

    image: str
    reference: Reference
    present: bool
    stop: Callable[[], bool]
    login: Login | None
    told: Callable[[Progress], None]

    @property
    def key(self) -> tuple[str, Login | None]:
        """Alike for those who can wait for one pull: who signs in as somebody else has to show
        that he may have the image too.
        """
        return self.reference.full, self.login


class _Flight:
    """One pull under way, and who waits for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.ended = False
        self.progress = Progress()
        self.sentence: str | None = None
        self.error: errors.DriverError | None = None


class _GivenUp(errors.Unanswered):
    """The one who pulled was told to stop; who else waits for the image pulls it then."""

    code = errors.Unanswered.code


class _Silent(Exception):
    """The registry can't be reached."""


class Silence(Struct):
    """When which registry was last found silent."""

    since: dict[str, float] = field(default_factory=dict)

    def heard(self, registry: str) -> None:
        """It answered."""
        self.since.pop(registry, None)

    def lasts(self, registry: str, seconds: float) -> bool:
        """True when it was found silent less than `seconds` ago."""
        return time.monotonic() - self.since.get(registry, -seconds) < seconds

    def noticed(self, registry: str) -> None:
        """It did not answer."""
        self.since[registry] = time.monotonic()


class Images:
    """The images of one engine."""

    def __init__(self, client: Client, *, silent_s: float = SILENT_S) -> None:
        self._client = client
        self._silent_s = silent_s
        self._silence = Silence()
        self._flights: dict[tuple[str, Login | None], _Flight] = {}
        self._lock = threading.Lock()

    def pull(
        self,
        image: str,
        policy: str,
        stop: Callable[[], bool],
        login: Login | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> str | None:
        """See `base.Engine.pull`."""
        if reserved(image):
            raise errors.Refused(why=f"Images like '{image}' can't be had by their names")
        reference = parse(image)
        present = self.present(reference)
        if policy == "never" and not present:
            raise errors.ImageMissing(image=image, why="it is not on this host")
        if present and policy in ("never", "ifnotpresent"):
            return None
        return self._once(_Wanted(image, reference, present, stop, login, told))

    def present(self, reference: Reference) -> bool:
        """Whether the host has the image."""
        try:
            self._client.raw("GET", f"/images/{reference.full}/json")
        except errors.Absent:
            return False
        return True

    def held(self, image: str) -> Held | None:
        """See `base.Engine.image`."""
        path = f"/images/{parse(image).full}/json"
        try:
            found = self._client.ask("GET", path, InspectedImage)
        except errors.Absent:
            return None
        return Held(id=found.id, size=found.size)

    def remove(self, image: str) -> None:
        """See `base.Engine.remove_image`."""
        try:
            self._client.raw("DELETE", f"/images/{parse(image).full}", timeout_s=REMOVE_S)
        except errors.Absent:
            pass

    def search(self, name: str) -> list[Found]:
        """See `base.Engine.search_images`."""
        registry = f"Registry {(_NAME.fullmatch(name) or {'registry': None})['registry'] or HUB}"
        query = {"term": name}
        try:
            return self._client.ask(
                "GET", "/images/search", list[Found], query=query, timeout_s=ANSWER_S
            )
        except errors.DriverError as error:
            if _SILENT.search(str(error)):
                raise errors.Unanswered(what=registry, why="no connection") from None
            raise

    def _once(self, wanted: _Wanted) -> str | None:
        """Pull, or wait for who pulls the same already."""
        wanted.told(Progress())
        while True:
            with self._lock:
                flight = self._flights.get(wanted.key)
                if mine := flight is None:
                    flight = self._flights[wanted.key] = _Flight()
            if mine:
                return self._lead(flight, wanted)
            while not flight.done.wait(ASK_S):
                if wanted.stop():
                    raise _given_up()
                wanted.told(flight.progress)
            if flight.error is not None:
                raise flight.error
            if flight.ended:
                return flight.sentence

    def _lead(self, flight: _Flight, wanted: _Wanted) -> str | None:
        try:
            flight.sentence = self._fetch(flight, wanted)
            flight.ended = True
        except _GivenUp:
            raise
        except errors.DriverError as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[wanted.key]
            flight.done.set()
        return flight.sentence

    def _fetch(self, flight: _Flight, wanted: _Wanted) -> str | None:
        image, registry, present = wanted.image, wanted.reference.registry, wanted.present
        try:
            if self._silence.lasts(registry, REMEMBER_S if present else REMEMBER_ABSENT_S):
                raise _Silent
            query = {"fromImage": wanted.reference.full}
            with self._client.stream(
                "POST",
                "/images/create",
                query=query,
                headers=signed(wanted.login),
                timeout_s=STALL_S,
            ) as stream:
                self._follow(stream, flight, wanted)
        except _Silent:
            if present:
                return f"Registry {registry} does not answer: the image {image} on the host is used"
            raise errors.Unanswered(what=f"Registry {registry}", why="no connection") from None
        return None

    def _follow(self, stream: Stream, flight: _Flight, wanted: _Wanted) -> None:
        """Read the pull to its end; raises what went wrong."""
        image, registry = wanted.image, wanted.reference.registry
        heard, layers = False, Layers()
        since = time.monotonic()
        while True:
            if not stream.ready(ASK_S):
                if wanted.stop():
                    raise _given_up()
                self._wait(time.monotonic() - since, heard, registry, wanted.present)
                continue
            if refusal := stream.refusal():
                self._judge(*refusal, image, registry)
            line = stream.line()
            said = reading.read(line, Line) if line else Line()
            if said.error:
                self._judge(500, said.error, image, registry)
            if said.trying:
                continue
            if not heard:
                self._silence.heard(registry)
            if not line:
                return
            heard, since = True, time.monotonic()
            flight.progress = layers.read(said)
            wanted.told(flight.progress)

    def _wait(self, waited: float, heard: bool, registry: str, present: bool) -> None:
        """Nothing comes: decide whether to wait on. An engine sends the head of its answer
        with the registry's first words.
        """
        if heard:
            if waited >= STALL_S:
                raise errors.Unanswered(what=f"Registry {registry}", why="the pull stalled")
            return
        if waited >= self._silent_s:
            self._silence.noticed(registry)
        if waited >= ANSWER_S or (present and self._silence.lasts(registry, REMEMBER_S)):
            raise _Silent

    def _judge(self, status: int, message: str, image: str, registry: str) -> None:
        """Raise what went wrong with a pull."""
        text = clean(message)
        if _SILENT.search(text):
            self._silence.noticed(registry)
            raise _Silent
        self._silence.heard(registry)
        if status == 404 or _MISSING.search(text):
            raise errors.ImageMissing(image=image, why=text)
        if _DENIED.search(text):
            raise errors.Refused(why=f"Registry {registry} denies access to image {image}: {text}")
        fail(status, message)


def signed(login: Login | None) -> dict[str, str]:
    """How an engine is told who signs in at the registry of this one pull."""
    if login is None:
        return {}
    told = {
        "username": login.username,
        "password": login.password or "",
        "serveraddress": login.domain.partition("/")[0],
    }
    return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(told)).decode()}


def _given_up() -> _GivenUp:
    facts: dict[str, Any] = {"what": "The pull", "why": "it was given up"}
    return _GivenUp(**facts)
