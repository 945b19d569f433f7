"""What becomes of containers that wait for Placement's word, each in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dolium.control import rows
from dolium.model.clock import Clock
from dolium.model.container import Status
from dolium.store import actions, capsules, containers, hosts, networks, projects, settlements
from dolium.store.containers import Observed
from dolium.store.settlements import Asked
from dolium.store.store import Store, Tx

ASKING = "asking"
"""The stage of a container whose claim Placement has not agreed to yet."""
WAITS = "Waiting for Placement, which does not answer"
TOGETHER = 64


def agreed(asked: Sequence[Asked], at: float, tx: Tx) -> int:
    """Their hosts may see them now."""
    found = containers.hold(tx, [one.container_uuid for one in asked])
    claims = settlements.of(tx.connection, [*found])
    away = settlements.away(tx.connection, {one.host for one in asked})
    due = []
    for one in asked:
        claim = claims.get(one.container_uuid)
        if claim is None or claim.consumer != one.consumer:
            # It may have been settled before Placement got what was asked.
            settlements.due(tx, one.consumer, one.container_uuid)
        elif claim.stage == ASKING and one.host in away:
            send_back(one, None, at, tx)
        elif claim.stage == ASKING:
            due.append(one)
    revisions = {host: hosts.stamp(tx, host) for host in sorted({one.host for one in due})}
    for one in due:
        values = {"stage": "ready", "revision": revisions[one.host]}
        if found[one.container_uuid].status_reason == WAITS:
            values["status_reason"] = None
        containers.observe(tx, one.container_uuid, values)
        if found[one.container_uuid].capsule_id:
            capsules.follow(tx, [one.container_uuid])
    return len(asked)


def send_back(one: Asked, last: str | None, at: float, tx: Tx) -> int:
    """Its claim is none: it waits for another host, or (last: why) gets none."""
    row = _asking(tx, one)
    if row is None:
        return 1
    networks.unplug(tx, row.uuid)
    hosts.release(tx, row.uuid)
    stage = containers.GATHERING if row.capsule_id else "waiting"
    values = {"host": None, "stage": stage, "addresses": b"null", "updated_at": at}
    if row.status_reason == WAITS:
        values["status_reason"] = None
    if last is not None:
        values |= {"stage": "nowhere", "status": Status.ERROR.value, "status_reason": last}
        values["task_state"] = None
        actions.close_all(tx, row.uuid, message=actions.FAILED, at=at)
        if row.capsule_id:
            rows.strand(tx, row.capsule_id, last, at)
    containers.observe(tx, row.uuid, values)
    projects.changed(tx, row.project_id, row.uuid, "observed", at, row.capsule_id)
    return 1


def explain(one: Asked, at: float, tx: Tx) -> None:
    """Who waits is told for what."""
    if (row := _asking(tx, one)) is not None:
        containers.observe(tx, row.uuid, {"status_reason": WAITS, "updated_at": at})
        projects.changed(tx, row.project_id, row.uuid, "observed", at, row.capsule_id)


def _asking(tx: Tx, one: Asked) -> Observed | None:
    """The container, held, if this claim of it still waits for Placement's word."""
    row = containers.hold(tx, [one.container_uuid]).get(one.container_uuid)
    claim = settlements.of(tx.connection, [one.container_uuid]).get(one.container_uuid)
    same = claim is not None and (claim.consumer, claim.stage) == (one.consumer, ASKING)
    return row if same else None


def agree(store: Store, clock: Clock) -> int:
    """When Placement is not asked any more: what waits for its word goes on without."""
    done = 0
    while True:
        with store.read() as connection:
            asked = settlements.asking(connection, TOGETHER)
        if not asked:
            return done
        done += store.write(partial(agreed, asked, clock.now()))
