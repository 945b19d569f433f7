"""The few ways in which a container's row changes, each with all that must change with it."""

from __future__ import annotations

from typing import Any

from dolium import errors
from dolium.model import reading
from dolium.model.capsule import Part
from dolium.model.container import ASKS, Spec, Status, Verb
from dolium.model.context import Context
from dolium.model.quota import Amounts
from dolium.store import actions, capsules, containers, hosts, networks, projects
from dolium.store.containers import Observed
from dolium.store.store import Tx

_spec = reading.reader(Spec)


def amounts(spec: Spec, part: str | None = None) -> Amounts:
    """What a container takes of its project's quota. Containers of a capsule are counted; CPUs and
    memory are what the capsule takes as a whole, which stand in its sandbox's spec.
    """
    if part not in (None, Part.SANDBOX):
        return Amounts(containers=1)
    containers = 0 if part else 1
    return Amounts(
        containers=containers, cpu_m=spec.cpu_m, memory_mib=spec.memory_mib, disk_gib=spec.disk
    )


def alone(row: Observed) -> None:
    """Raise Conflict for a container that can't be changed apart from its capsule."""
    if row.capsule_id:
        why = f"Container {row.uuid} belongs to capsule {row.capsule_id}, which starts and stops it"
        raise errors.Conflict(why=f"{why} and can only be deleted as a whole.")


def present(tx: Tx, uuid: str) -> Observed:
    """The row, held as it is now until the commit; raises NotFound when it is gone meanwhile."""
    row = containers.hold(tx, [uuid]).get(uuid)
    if row is None:
        raise errors.NotFound(kind="Container", id=uuid)
    return row


def note(tx: Tx, row: Observed, at: float, values: dict[str, Any]) -> None:
    """Change what no host needs to act on (but may show): a name, a flag."""
    if row.host:
        values = values | {"revision": hosts.stamp(tx, row.host)}
    containers.change(tx, row.uuid, row.generation, values | {"updated_at": at})
    projects.changed(tx, row.project_id, row.uuid, "updated", at, row.capsule_id)


def wish(
    tx: Tx,
    context: Context,
    row: Observed,
    verb: Verb,
    params: dict[str, Any],
    at: float,
    values: dict[str, Any],
) -> None:
    """A new generation of the wish, with its action; its host is woken."""
    ask, generation = ASKS[verb], row.generation + 1
    new: dict[str, Any] = {"generation": generation, "updated_at": at, "status_reason": None}
    if ask.during:
        new["status"] = ask.during.value
    if ask.task:
        new["task_state"] = ask.task.value
    if ask.wanted:
        new["wanted"] = ask.wanted.value
    if ask.starts:
        new["start_epoch"] = generation
    if row.host:
        new["revision"] = hosts.stamp(tx, row.host)
    containers.change(tx, row.uuid, row.generation, new | values)
    actions.add(
        tx,
        context,
        container_uuid=row.uuid,
        project_id=row.project_id,
        generation=generation,
        verb=verb,
        params=params,
        at=at,
    )
    projects.changed(tx, row.project_id, row.uuid, verb.value, at, row.capsule_id)


def condemn(tx: Tx, context: Context, row: Observed, params: dict[str, Any], at: float) -> None:
    """Wish a container gone: what is still queued is closed, what never had a host goes now."""
    actions.close_all(tx, row.uuid, message=f"superseded by {context.request_id}", at=at)
    wish(tx, context, row, Verb.DELETE, params, at, {"stage": "ready"})
    if row.host is None:
        bury(tx, row, at)


def strand(tx: Tx, capsule_id: str, why: str, at: float) -> None:
    """No host was found for a capsule's sandbox: nor is there one for the others of it."""
    for row in capsules.parts(tx.connection, [capsule_id])[capsule_id][1:]:
        actions.close_all(tx, row.uuid, message=actions.FAILED, at=at)
        values = {"status": Status.ERROR.value, "status_reason": why, "updated_at": at}
        containers.observe(tx, row.uuid, values)


def bury(tx: Tx, row: Observed, at: float) -> None:
    """Delete the row, and give back all it had: only who deleted it gives back (decision 17)."""
    if not containers.delete(tx, row.uuid):
        return
    for command in actions.opened(tx.connection, [row.uuid]).get(row.uuid, []):
        ok = command.verb is Verb.DELETE
        actions.close(tx, command.id, ok=ok, message=None if ok else actions.FAILED, at=at)
    networks.unplug(tx, row.uuid)
    hosts.release(tx, row.uuid)
    projects.give_back(tx, row.project_id, amounts(_spec(row.spec), row.part))
    if row.host is not None:
        containers.bury(tx, row.uuid, row.host, hosts.stamp(tx, row.host), at)
    projects.changed(tx, row.project_id, row.uuid, "deleted", at, row.capsule_id)
