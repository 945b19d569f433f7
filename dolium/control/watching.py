"""Changes of a project for who watches it: each once, in order, and none is lost.

Whoever makes a change counts the project's revision up in the same transaction, so changes become
visible in the order of their revisions. A watcher that says which one it saw last goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from dolium import errors
from dolium.control.parts import Capsule, whole
from dolium.model import record
from dolium.model.capsule import Part
from dolium.model.clock import Clock
from dolium.store import capsules, containers, projects
from dolium.store.containers import Observed
from dolium.store.store import Store

MOST_AT_ONCE = 100

LOOK_S = 1.0
"""How often to look for what another process has changed; this one's own changes wake at once."""


class Change(Struct, frozen=True, kw_only=True):
    """One change, and the container as it is by now."""

    revision: int
    uuid: str
    what: str
    """`created`, `updated`, `observed`, `moved`, `deleted`, or the action that was asked for."""
    at: float
    container: record.Container | None
    """None once it is gone."""
    capsule: Capsule | None = None
    """Instead of a container, where a capsule has changed and is not gone."""
    kind: str = "container"
    """Or `capsule`."""


class Watching:
    """Reads the changes that stores write down."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def revision(self, project_id: str) -> int:
        """The present one: whoever lists after asking misses nothing by watching from it on."""
        with self._store.glance() as connection:
            return projects.standing(connection, project_id)[0]

    def after(
        self,
        project_id: str,
        since: int,
        until: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[Change]:
        """The next changes, as soon as there are some; none when there are none until then.

        until: on the monotonic clock; stop: asked every LOOK_S. Raises Forgotten.
        """
        topic = f"project:{project_id}"
        while True:
            count = self._store.hints.count(topic)
            if found := self._read(project_id, since):
                return found
            left = until - self._clock.monotonic()
            if left <= 0 or stop():
                return []
            self._store.hints.wait(topic, count, min(left, LOOK_S))

    def _read(self, project_id: str, since: int) -> list[Change]:
        with self._store.read() as connection:
            now, horizon = projects.standing(connection, project_id)
            if not horizon <= since <= now:  # it is older than what is kept, or of another database
                raise errors.Forgotten(since=since, now=now)
            if since == now:
                return []
            found = projects.changes_after(connection, project_id, since, MOST_AT_ONCE)
            rows = containers.observed(
                connection, list({uuid for _, uuid, *_, kind in found if not kind})
            )
            parts = capsules.parts(connection, {uuid for _, uuid, *_, kind in found if kind})
        return [
            Change(
                revision=revision,
                uuid=uuid,
                what=what,
                at=at,
                container=rows.get(uuid),
                capsule=_standing(parts.get(uuid)),
                kind=kind or "container",
            )
            for revision, uuid, what, at, kind in found
        ]


def _standing(parts: Sequence[Observed] | None) -> Capsule | None:
    """A capsule whose sandbox has not gone before the others, as it may with its host."""
    return whole(parts) if parts and parts[0].part == Part.SANDBOX else None
