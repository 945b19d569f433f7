"""What is done about a host that has fallen silent.

Its containers become Unknown. They are made anew on other hosts only after it is proven that
nothing of them runs there any more: containers have addresses, volumes and promises that no two
may hold at once. Several conductors may do all of this at the same time: each write names what
was read, and who comes second changes nothing.
"""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Callable, Sequence
from functools import partial

from dolium import conf, errors
from dolium.control import rows
from dolium.control.liveness import Judge, Judgement
from dolium.drivers.fence.base import Driver
from dolium.model import reading
from dolium.model.clock import Clock, iso
from dolium.model.container import Spec, Status, Verb, Wanted
from dolium.model.context import Context
from dolium.model.metric import HEALED, Meter
from dolium.store import actions, containers, hosts, liveness, networks, projects
from dolium.store.containers import Observed
from dolium.store.liveness import Life
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

_spec = reading.reader(Spec)

TOGETHER = 50
"""Containers marked in one transaction."""
AGAIN_S = 10.0
"""How often a lost host's remaining containers are looked at, and a proof is asked for again."""
LONGEST_PROOF = 255
OPERATOR = "an operator declared it down"
PROMISE = "its agent has promised to stop what may run elsewhere"
LIVELY = frozenset({Wanted.RUNNING.value, Wanted.PAUSED.value})


class Lost:
    """The part of a conductor that deals with silent hosts. Methods may be called at any time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        options: conf.Hosts,
        fences: Sequence[Driver] = (),
        new_id: Callable[[], str] = lambda: str(uuids.uuid4()),
        meter: Meter | None = None,
    ) -> None:
        """fences: asked in this order for a proof that a silent host is off."""
        self._meter = meter or Meter()
        self._store = store
        self._clock = clock
        self._fences = fences
        self._new_id = new_id
        self._judge = Judge(options.silent_s, options.margin_s)
        self._asked: dict[str, float] = {}
        self._healed: dict[str, tuple[int, float]] = {}

    def _lives(self) -> list[Life]:
        with self._store.glance() as connection:
            return liveness.lives(connection)

    # --- who is silent -----------------------------------------------------------------------

    def judge(self) -> int:
        """Look at all signs of life; returns how many hosts fell silent or came back."""
        lives = self._lives()
        found = self._judge.look(self._clock.monotonic(), lives)
        changed = self._write(found) if found.fallen or found.risen or found.kept else 0
        for life in self._lives() if changed else lives:
            if life.silent:
                self._mark(life)
        return changed

    def _write(self, found: Judgement) -> int:
        now = self._clock.now()

        def work(tx: Tx) -> int:
            changed = 0
            for name in sorted(found.fallen):
                held = name in found.held
                changed += liveness.silence(tx, name, found.fallen[name], held=held, at=now)
            liveness.hold(tx, found.held)
            for name in sorted(found.risen):
                changed += liveness.sound(tx, name, found.risen[name])
            for name in sorted(found.kept):
                liveness.prove(tx, name, found.kept[name], PROMISE)
            if changed:
                tx.hint("placer")
            return changed

        changed = self._store.write(work)
        if found.fallen:
            LOG.warning("silent: %s", ", ".join(sorted(found.fallen)))
        if found.held:
            LOG.error(
                "%s fell silent at once: nothing of them is made anew until `dolium host heal`",
                ", ".join(sorted(found.held)),
            )
        if found.risen:
            LOG.warning("heard of again: %s", ", ".join(sorted(found.risen)))
        return changed

    def _mark(self, life: Life) -> None:
        since = f" since {iso(life.silent_at)[:19]} UTC" if life.silent_at else ""
        reason = f"Host {life.name} has been silent{since}"
        with self._store.glance() as connection:
            found = liveness.unmarked(connection, life.name)
        mark_all(self._store, life.name, found, reason, self._clock.now())

    # --- whether it is gone for certain ----------------------------------------------------------

    def fence(self) -> int:
        """Ask for proofs that silent hosts are off, until there is one; returns how many.

        It may take as long as the drivers do.
        """
        lives = {life.name: life for life in self._lives() if _doubtful(life)}
        self._asked = {name: at for name, at in self._asked.items() if name in lives}
        for name in sorted(lives):
            proof = OPERATOR if lives[name].declared else self._ask(name)
            if proof and self._prove(name, lives[name].beat, proof):
                return 1
        return 0

    def _ask(self, name: str) -> str | None:
        now = self._clock.monotonic()
        if not self._fences or self._asked.get(name, now) > now:
            return None
        with self._store.read() as connection:
            life = liveness.get(connection, name)
            worth = liveness.remaining(connection, name, 0, 1)
        if life is None or not _doubtful(life) or not worth:
            return None  # heard of while another host was asked about, or nothing is to be won
        for driver in self._fences:
            try:
                return driver.off(name)
            except errors.DriverError as error:
                LOG.warning("host %s is not proven off by %s: %s", name, driver.name, error)
        self._asked[name] = self._clock.monotonic() + AGAIN_S
        return None

    def _prove(self, name: str, beat: int, proof: str) -> bool:
        short = proof[:LONGEST_PROOF]
        done = self._store.write(lambda tx: liveness.prove(tx, name, beat, short))
        if done:
            LOG.warning("host %s is gone: %s", name, proof)
        return done

    # --- what ran there --------------------------------------------------------------------------

    def heal(self) -> int:
        """Make anew elsewhere what proven lost hosts leave; returns how many containers."""
        now, healed = self._clock.monotonic(), 0
        lost = [life for life in self._lives() if life.proof is not None and not life.held]
        self._healed = {
            life.name: self._healed[life.name] for life in lost if life.name in self._healed
        }
        for life in lost:
            beat, due = self._healed.get(life.name, (-1, now))
            if beat != life.beat or due <= now:
                healed += self._clear(life)
                self._healed[life.name] = life.beat, self._clock.monotonic() + AGAIN_S
        return healed

    def _clear(self, life: Life) -> int:
        after, healed = 0, 0
        while True:
            with self._store.read() as connection:
                found = liveness.remaining(connection, life.name, after, TOGETHER)
                due = containers.observed(connection, [uuid for _, uuid in found]).values()
            if not found:
                self._meter.count(HEALED, by=healed)
                return healed
            after = found[-1][0]
            for row in due:
                if not _due(row, life):
                    continue
                try:
                    healed += self._store.write(partial(self._take, row.uuid, life))
                except errors.Changed as error:
                    LOG.info("%s; looking again", error)

    def _take(self, uuid: str, life: Life, tx: Tx) -> bool:
        """Take one container from the lost host, if it may be taken."""
        row = containers.hold(tx, [uuid]).get(uuid)
        if row is None or row.host != life.name or not _due(row, life):
            return False
        now = self._clock.now()
        if row.wanted == Wanted.DELETED:
            rows.bury(tx, row, now)
            _still_lost(tx, life.name)
            return True
        reason = _stays(row, life)
        if reason is None:
            self._move(tx, row, life, now)
            return True
        values = {"status": Status.UNKNOWN.value, "status_reason": reason, "updated_at": now}
        containers.change(tx, uuid, row.generation, values)
        _still_lost(tx, life.name)
        projects.changed(tx, row.project_id, uuid, "observed", now, row.capsule_id)
        return False

    def _move(self, tx: Tx, row: Observed, life: Life, at: float) -> None:
        """A new generation of the wish, for whichever host is found; the lost one's copy is
        nobody's from now on.
        """
        run, generation = row.wanted in LIVELY, row.generation + 1
        why = f"Made anew: host {life.name} is gone ({life.proof})"
        context = Context(
            user_id=row.user_id, project_id=row.project_id, request_id=f"req-{self._new_id()}"
        )
        message = f"superseded by {context.request_id}"
        actions.close_all(tx, row.uuid, message=message, at=at)
        new = {
            **{"status": Status.CREATING.value, "status_reason": why, "task_state": None},
            **{"host": None, "stage": "waiting", "addresses": b"null", "updated_at": at},
            **{"generation": generation, "created_generation": generation},
            "start_epoch": generation if run else 0,
            # Counters and times of another host's say nothing about the next one's.
            **{"fact_epoch": 0, "fact_sequence": 0, "revision": 0},
            **{"started_at": None, "finished_at": None, "exit_code": None},
            **{"health": None, "progress": None},
        }
        containers.change(tx, row.uuid, row.generation, new)
        revision = _still_lost(tx, life.name)
        containers.bury(tx, row.uuid, life.name, revision, at)  # so it learns, should it come back
        networks.unplug(tx, row.uuid)
        hosts.release(tx, row.uuid)
        actions.add(
            tx,
            context,
            container_uuid=row.uuid,
            project_id=row.project_id,
            generation=generation,
            verb=Verb.CREATE,
            params={"run": run, "why": why},
            at=at,
        )
        projects.changed(tx, row.project_id, row.uuid, "moved", at)


def stays(row: Observed, spec: Spec) -> str | None:
    """Why a container of a lost host is not made anew elsewhere; None: it is."""
    if not spec.auto_heal:
        return "auto_heal is off"
    if spec.requested_host is not None:
        return "it was asked to be on that host"
    if row.wanted in LIVELY and _ended(row, spec):
        return "it had ended before"
    return None


def _ended(row: Observed, spec: Spec) -> bool:
    """Whether it was last seen to have done its work."""
    if row.finished_at is None or (row.started_at or 0.0) > row.finished_at:
        return False
    policy = spec.restart_policy.name if spec.restart_policy else "no"
    return policy == "no" or (policy == "on-failure" and row.exit_code == 0)


def _stays(row: Observed, life: Life) -> str | None:
    why = stays(row, _spec(row.spec))
    if why is None and life.proof == PROMISE and row.observed_generation < row.generation:
        why = "its agent may not know the last wish, and so not that it has to stop it"
    return None if why is None else f"Host {life.name} is gone ({life.proof}); {why}"


def _due(row: Observed, life: Life) -> bool:
    """Whether something is to be done about a lost host's container."""
    if row.wanted == Wanted.DELETED:
        return life.proof != PROMISE  # which is for what its agent knows to be exclusive
    if row.status != Status.UNKNOWN:
        return row.status in liveness.LOSABLE
    return row.status_reason != (_stays(row, life) or "")


def mark_all(store: Store, name: str, uuids: Sequence[str], reason: str, at: float) -> None:
    """Containers of a host that is away become Unknown, some in each transaction."""
    for first in range(0, len(uuids), TOGETHER):
        try:
            store.write(partial(_mark, name, uuids[first : first + TOGETHER], reason, at))
        except errors.Changed as error:
            LOG.info("%s; looking again", error)


def _mark(name: str, uuids: Sequence[str], reason: str, at: float, tx: Tx) -> None:
    """Their host gets them told anew: should it answer, it reports them again, whether or not
    anything has happened to them meanwhile.
    """
    found = containers.hold(tx, uuids).values()
    marked = [row for row in found if row.host == name and row.status in liveness.LOSABLE]
    values = {"status": Status.UNKNOWN.value, "status_reason": reason, "updated_at": at}
    for row in marked:
        containers.change(tx, row.uuid, row.generation, values)
    revision = liveness.stamp(tx, name)
    if revision is None:
        raise errors.Changed(kind="Host", id=name)
    for row in marked:
        containers.observe(tx, row.uuid, {"revision": revision})
        projects.changed(tx, row.project_id, row.uuid, "observed", at, row.capsule_id)


def _still_lost(tx: Tx, name: str) -> int:
    """The host's new revision; raises Changed if it has enrolled anew meanwhile."""
    revision = liveness.stamp(tx, name, proven=True)
    if revision is None:
        raise errors.Changed(kind="Host", id=name)
    return revision


def _doubtful(life: Life) -> bool:
    return life.silent and life.proof is None and not life.held
