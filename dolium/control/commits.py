"""Containers that become images of Glance.

A commit is a row from before Glance is asked for a record of the image until nobody has anything to
forget: whoever is killed meanwhile, the conductor finds the row and goes on or clears away. The
container's host makes the image as one more command of the container; its bytes go to Glance apart
from that, so that a silent Glance holds nothing up.
"""

from __future__ import annotations

import logging
import random
import threading
import uuid as uuids
from collections.abc import Callable
from typing import Any

from dolium import errors
from dolium.clients.glance import Glance as Client
from dolium.control import rows
from dolium.control.glance import NONE, Glance
from dolium.link.base import Hosts
from dolium.model import reading, record
from dolium.model.clock import Clock
from dolium.model.commit import Commit, Stage
from dolium.model.container import ASKS, Verb, check
from dolium.model.context import Context
from dolium.model.host import Inventory
from dolium.model.image import snapshot
from dolium.model.wish import Question
from dolium.store import actions, commits, hosts
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

ASK_S = 10.0
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
"""Pauses before a host, or Glance, is asked again."""
OPENED_S = 120.0
"""After so long nobody is about to ask for what was opened any more."""
SAVING_S = 3600.0
"""So long Glance may say that it gets the bytes, and not from here: then it was killed at it."""
MOST = 1000
"""Commits that one turn looks at."""
AT_ONCE = 4
"""That one conductor sends to Glance at the same time."""

_inventory = reading.reader(Inventory)


class Commits:
    """What the API asks for."""

    def __init__(self, store: Store, clock: Clock, glance: Glance) -> None:
        self._store, self._clock, self._glance = store, clock, glance

    def commit(
        self, context: Context, token: str, row: record.Container, repository: str, tag: str
    ) -> str:
        """Make the container an image of the token's bearer; returns its id in Glance. Raises
        WrongState, Invalid where there is no Glance, and what Glance says.
        """
        client = self._glance.client("repository")
        opened = Commit(
            image_id=str(uuids.uuid4()),
            container_uuid=row.uuid,
            stage=Stage.OPENED.value,
            host=None,
            generation=None,
            created_at=self._clock.now(),
        )
        self._store.write(lambda tx: commits.insert(tx, opened))
        try:
            client.create(opened.image_id, repository, tag, token)
            self._store.write(lambda tx: self._wish(tx, context, opened))
        except BaseException as error:
            self._store.write(lambda tx: _fail(tx, opened))
            if isinstance(error, errors.NotOffered):
                raise errors.Invalid(field="repository", why=NONE) from None
            raise
        return opened.image_id

    def _wish(self, tx: Tx, context: Context, opened: Commit) -> None:
        present = rows.present(tx, opened.container_uuid)
        rows.alone(present)
        check("commit", ASKS[Verb.COMMIT].allowed, present.uuid, present.status)
        host = hosts.get(tx.connection, present.host or "")
        if host is None or Verb.COMMIT not in _inventory(host.inventory).verbs:
            why = "The container's host runs an older Dolium, which can't do this."
            raise errors.Conflict(why=why)
        moved = commits.move(
            tx,
            opened.image_id,
            [Stage.OPENED],
            Stage.ASKED,
            host=present.host,
            generation=present.generation + 1,
        )
        if not moved:  # this took so long that it was given up
            raise errors.Changed(kind="Image", id=opened.image_id)
        params = {"image": opened.image_id}
        rows.wish(tx, context, present, Verb.COMMIT, params, self._clock.now(), {})


class Uploads:
    """Brings what hosts have made to Glance, and clears away: a part of the conductor, of any
    number of them. Two that send the same are told by Glance.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        link: Hosts,
        client: Client,
        rng: random.Random,
        spawn: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """spawn: runs an upload beside the others; by default a thread."""
        self._store, self._clock, self._link, self._client = store, clock, link, client
        self._rng, self._spawn = rng, spawn or _thread
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self.waits = False
        """Whether something is to be looked at soon."""
        self._pauses: dict[str, tuple[float, float]] = {}
        """Image -> when it is looked at again, on the monotonic clock, and the next pause."""
        self._since: dict[tuple[str, str], float] = {}
        """When an image was first seen in a state that must not last."""

    def turn(self) -> int:
        """Look at all there are; returns how much was begun: the rest waits for something."""
        with self._store.glance() as connection:
            orphans = commits.orphans(connection, MOST)
            found = commits.some(connection, MOST)
        for image_id in orphans:
            self._move(image_id, Stage.ASKED, Stage.FAILED)
        known = {commit.image_id for commit in found}
        now = self._clock.monotonic()
        with self._lock:
            self._pauses = {k: due for k, due in self._pauses.items() if k in known}
            self._since = {k: at for k, at in self._since.items() if k[0] in known}
            due = [
                commit
                for commit in found
                if commit.stage in self._stages
                and commit.image_id not in self._under_way
                and self._pauses.get(commit.image_id, (now, 0.0))[0] <= now
            ][: AT_ONCE - len(self._under_way)]
            self._under_way |= {commit.image_id for commit in due}
            self.waits = any(commit.stage in self._stages for commit in found)
        for commit in due:
            self._spawn(lambda commit=commit: self._step(commit))  # type: ignore[misc]
        return len(orphans) + len(due)

    @property
    def _stages(self) -> dict[str, Callable[[Commit], None]]:
        return {
            Stage.OPENED: self._doubt,
            Stage.MADE: self._upload,
            Stage.KEPT: self._clear,
            Stage.FAILED: self._clear,
        }

    def _step(self, commit: Commit) -> None:
        try:
            self._stages[commit.stage](commit)
        except errors.Error as error:
            LOG.info("image %s: %s; trying again", commit.image_id, error)
            self._pause(commit)
        except Exception:
            LOG.exception("image %s: a bug; trying again", commit.image_id)
            self._pause(commit)
        finally:
            with self._lock:
                self._under_way.discard(commit.image_id)

    def _doubt(self, commit: Commit) -> None:
        """Whoever opened it was killed, if this lasts."""
        if self._lasts(commit, commit.stage, OPENED_S):
            self._move(commit.image_id, Stage.OPENED, Stage.FAILED)

    def _upload(self, commit: Commit) -> None:
        """From its host to Glance, piece by piece."""
        try:
            status = self._client.image(commit.image_id).status
        except errors.Absent:
            self._end(commit, f"Image {commit.image_id} was deleted in Glance")
            return
        if status == "active":  # by a conductor that was killed before it said so
            self._end(commit, None)
        elif status == "queued":
            with self._lock:
                self._since.pop((commit.image_id, "saving"), None)
            self._send(commit)
        elif status != "saving" or self._lasts(commit, status, SAVING_S):
            self._end(commit, f"Glance has given up image {commit.image_id}: it is {status}")

    def _send(self, commit: Commit) -> None:
        name = {"name": snapshot(commit.image_id)}
        question = Question(what="save_image", uuid=commit.container_uuid, params=name)
        try:
            pieces = self._link.read(self._host(commit), question)
        except errors.Absent as error:
            self._end(commit, f"Its host has lost it: {error}")
            return
        try:
            with pieces:
                self._client.write(commit.image_id, pieces)
        except errors.OverQuota as error:
            self._end(commit, str(error))
            return
        self._end(commit, None)
        LOG.info("image %s: Glance has it", commit.image_id)

    def _host(self, commit: Commit) -> str:
        with self._store.glance() as connection:
            if hosts.get(connection, commit.host or "") is None:
                raise errors.Absent(what=f"Host {commit.host}")
        return commit.host or ""

    def _clear(self, commit: Commit) -> None:
        """Nothing is left of what failed, and on the host of nothing."""
        if commit.stage == Stage.FAILED:
            self._client.delete(commit.image_id)
        if commit.generation is not None:
            self._forget(commit)
        self._store.write(lambda tx: commits.delete(tx, commit.image_id))

    def _forget(self, commit: Commit) -> None:
        try:
            host = self._host(commit)
        except errors.Absent:
            return
        params = {"name": snapshot(commit.image_id)}
        reply = self._link.ask(
            host, Question(what="remove_image", uuid=commit.container_uuid, params=params), ASK_S
        )
        if reply.code is not None:
            raise errors.revive(reply.code, reply.facts)

    def _end(self, commit: Commit, why: str | None) -> None:
        """why: it failed; None: it did not."""
        stage = Stage.KEPT if why is None else Stage.FAILED
        if why is not None:
            LOG.warning("image %s: %s", commit.image_id, why)

        def work(tx: Tx) -> None:
            if commits.move(tx, commit.image_id, [Stage.MADE], stage):
                assert commit.generation is not None
                its = (commit.container_uuid, commit.generation)
                actions.conclude(tx, *its, why=why, at=self._clock.now())

        self._store.write(work)

    def _move(self, image_id: str, stage: Stage, to: Stage) -> None:
        self._store.write(lambda tx: commits.move(tx, image_id, [stage], to))

    def _lasts(self, commit: Commit, state: str, seconds: float) -> bool:
        """Whether it has been in a state for so long; otherwise look later."""
        now = self._clock.monotonic()
        with self._lock:
            since = self._since.setdefault((commit.image_id, state), now)
        if now - since >= seconds:
            return True
        self._pause(commit)
        return False

    def _pause(self, commit: Commit) -> None:
        with self._lock:
            _, pause = self._pauses.get(commit.image_id, (0.0, FIRST_RETRY_S))
            at = self._clock.monotonic() + self._rng.uniform(0.5, 1.0) * pause
            self._pauses[commit.image_id] = at, min(2 * pause, LONGEST_RETRY_S)


def _fail(tx: Tx, commit: Commit) -> Any:
    return commits.move(tx, commit.image_id, [Stage.OPENED], Stage.FAILED)


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="upload", daemon=True).start()
