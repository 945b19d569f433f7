"""Images on hosts, as administrators ask for them: wishes in rows, which hosts are asked about.

A host does the work and remembers nothing: whoever looks next asks again, which is harmless.
"""

from __future__ import annotations

import logging
import random
import uuid as uuids
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from dolium import errors
from dolium.link.base import Hosts
from dolium.model import record, trace
from dolium.model.clock import Clock
from dolium.model.context import Context
from dolium.model.image import Found, Held, Image, Stage, parts
from dolium.model.wish import Question
from dolium.store import images, services
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

ASK_S = 10.0
"""What a host may take to answer; it does its work meanwhile."""
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
"""Pauses before a host that does not answer, or a registry, is asked again."""
MOST = 10_000
"""Images that one turn looks at."""
AT_ONCE = 8
"""Hosts that are asked at the same time."""


class Images:
    """The verbs of images."""

    def __init__(self, store: Store, clock: Clock, link: Hosts) -> None:
        self._store = store
        self._clock = clock
        self._link = link

    def find(self, uuid: str) -> Image:
        """One by its id."""
        with self._store.glance() as connection:
            found = images.get(connection, uuid)
        if found is None:
            raise errors.NotFound(kind="Image", id=uuid)
        return found

    def list(self, query: record.Query) -> list[Image]:
        """One page."""
        with self._store.read() as connection:
            return images.page(connection, query)

    def pull(self, context: Context, host: str, name: str) -> Image:
        """Have a host pull it; raises Exists, unless what there is has failed."""
        repo, tag = parts(name)
        now = self._clock.now()
        values: dict[str, Any] = {
            "uuid": str(uuids.uuid4()),
            "repo": repo,
            "tag": tag,
            "project_id": context.project_id,
            "user_id": context.user_id,
            "stage": Stage.PULLING.value,
            "created_at": now,
        }

        def work(tx: Tx) -> Image:
            found = services.find(tx.connection, host)
            if found is None:
                raise errors.InvalidValue(why=f"The host {host} does not exist.")
            tx.hint(images.TOPIC)
            if images.insert(tx, values | {"host": found.name}):
                return _must(images.get(tx.connection, values["uuid"]))
            present = _must(images.named(tx, found.name, repo, tag))
            again = {"stage": Stage.PULLING.value, "reason": None, "updated_at": now}
            if not images.move(tx, present.uuid, [Stage.FAILED], again):
                raise errors.Exists(kind="Image", id=f"{present.name} on host {found.name}")
            return _must(images.get(tx.connection, present.uuid))

        return self._store.write(work)

    def delete(self, image: Image) -> None:
        """Have its host remove it; the row goes when it is gone there."""
        values = {"stage": Stage.REMOVING.value, "reason": None, "updated_at": self._clock.now()}

        def work(tx: Tx) -> None:
            images.move(tx, image.uuid, list(Stage), values)
            tx.hint(images.TOPIC)

        self._store.write(work)

    def search(self, name: str, *, exact: bool) -> Sequence[Found]:
        """What a registry has of a name, as any host's engine finds it."""
        with self._store.read() as connection:
            up = [each for each in services.all_of_them(connection) if each.up]
        last: errors.Error = errors.NoHost(why="none answers")
        for service in up[:3]:
            params = {"name": name, "exact": exact}
            question = Question(
                what="search_images", uuid="", params=params, request_id=trace.current()
            )
            try:
                reply = self._link.ask(service.name, question)
            except errors.HostDown as down:
                last = down
                continue
            if reply.code is None:
                return msgspec.convert(reply.value, list[Found])
            error = errors.revive(reply.code, reply.facts)
            if not isinstance(error, errors.Absent):
                raise error
            last = errors.NoHost(why="their agents are too old")  # they look for a container
        raise last


class Fetcher:
    """Asks hosts until they have what they should: a part of the conductor, of any number of them.

    What it keeps is only when to ask again; two of them ask twice.
    """

    def __init__(self, store: Store, clock: Clock, link: Hosts, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._link = link
        self._rng = rng
        self._pauses: dict[str, tuple[float, float]] = {}
        """Image -> when it is asked for again, on the monotonic clock, and the next pause."""

    def turn(self) -> int:
        """Look at all that is open; returns how much was asked for: the rest has its pause."""
        with self._store.glance() as connection:
            found = images.opened(connection, MOST)
        known = {image.uuid for image in found}
        self._pauses = {uuid: due for uuid, due in self._pauses.items() if uuid in known}
        now = self._clock.monotonic()
        due = [image for image in found if self._pauses.get(image.uuid, (now, 0.0))[0] <= now]
        due.sort(key=attrgetter("host"))
        hosts = [list(group) for _, group in groupby(due, key=attrgetter("host"))]
        if len(hosts) > 1:
            with ThreadPoolExecutor(min(AT_ONCE, len(hosts)), "images") as pool:
                list(pool.map(self._all_of_host, hosts))
        elif hosts:
            self._all_of_host(hosts[0])
        return len(due)

    def _all_of_host(self, found: list[Image]) -> None:
        for image in found:
            try:
                self._ask(image)
            except errors.HostDown:
                for each in found:  # one that is away need not be asked for each
                    self._pause(each)
                return

    def _ask(self, image: Image) -> None:
        what = "pull_image" if image.stage == Stage.PULLING else "remove_image"
        question = Question(what=what, uuid=image.uuid, params={"name": image.name})
        reply = self._link.ask(image.host, question, ASK_S)
        if reply.code is None:
            self._answered(image, reply.value)
            return
        error = errors.revive(reply.code, reply.facts)
        # An agent that is older than images knows no container of the id.
        if error.retry is not None or isinstance(error, errors.Absent):
            self._pause(image)
            LOG.info("image %s on host %s: %s; trying again", image.name, image.host, error)
            return
        LOG.warning("image %s on host %s: %s", image.name, image.host, error)
        self._move(image, {"stage": Stage.FAILED.value, "reason": str(error)})

    def _answered(self, image: Image, value: Any) -> None:
        """value: None while the host is at it, else what it has now: an image, or {}."""
        if value is None:
            return
        if image.stage == Stage.REMOVING:
            self._store.write(lambda tx: images.removed(tx, image.uuid))
            return
        held = msgspec.convert(value, Held)
        self._move(image, {"stage": Stage.PRESENT.value, "image_id": held.id, "size": held.size})

    def _move(self, image: Image, values: dict[str, Any]) -> None:
        values = {"reason": None, "updated_at": self._clock.now()} | values
        # Not if somebody wished otherwise meanwhile.
        self._store.write(lambda tx: images.move(tx, image.uuid, [Stage(image.stage)], values))

    def _pause(self, image: Image) -> None:
        _, pause = self._pauses.get(image.uuid, (0.0, FIRST_RETRY_S))
        at = self._clock.monotonic() + self._rng.uniform(0.5, 1.0) * pause
        self._pauses[image.uuid] = at, min(2 * pause, LONGEST_RETRY_S)


def _must(image: Image | None) -> Image:
    if image is None:
        raise errors.Changed(kind="Image", id="of that name")
    return image
