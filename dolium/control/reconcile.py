"""What a host reports becomes what users see: facts against wishes, actions closed.

`settle` decides and is pure; `apply` writes what it decided.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from dolium.control import rows
from dolium.model import reading, record, trace
from dolium.model.commit import Stage
from dolium.model.container import ASKS, MOVES, Event, Look, Spec, State, Status, Verb, Wanted
from dolium.model.context import Context
from dolium.model.wish import Command, Fact, Result
from dolium.store import actions, commits, containers, projects
from dolium.store.containers import Observed
from dolium.store.store import Tx

LOG = logging.getLogger(__name__)

_encode = msgspec.json.encode
_look = reading.reader(Look)
_spec = reading.reader(Spec)

BEGINNINGS = frozenset({Verb.CREATE, Verb.START, Verb.REBOOT, Verb.REBUILD})
"""Verbs whose failure leaves the container in Error, and whose success ends an Error."""


class Settled(Struct, frozen=True, kw_only=True):
    """What a fact changes."""

    values: dict[str, Any]
    """Columns to write."""
    closed: tuple[Result, ...] = ()
    gone: bool = False
    """The row is to be deleted now."""
    leave: bool = False
    """It exited and was asked to remove itself then."""


def settle(row: Observed, commands: list[Command], fact: Fact) -> Settled:
    """One fact against one row and its open actions."""
    results = {result.id: result for result in fact.results}
    done = [command for command in commands if command.id in results]
    left = [command for command in commands if command.id not in results]
    closed = tuple(results[command.id] for command in done)
    if fact.gone and row.wanted == Wanted.DELETED:
        return Settled(values={}, closed=closed, gone=True)
    failed = [c for c in done if not results[c.id].ok]
    status = _status(row, done, left, failed, fact)
    reason = results[failed[-1].id].message if failed else fact.reason
    if reason is None and status == Status.ERROR:
        reason = row.status_reason or "The container is not in the engine any more"
    values: dict[str, Any] = {
        "status": str(status),
        "status_reason": reason,
        "task_state": _task(left, fact),
        "progress": fact.progress.text if fact.progress and left else None,
        "observed_generation": max(row.observed_generation, fact.generation),
    }
    values |= _observations(row, fact)
    return Settled(values=values, closed=closed, leave=_leaves(row, left, fact))


def _status(
    row: Observed, done: list[Command], left: list[Command], failed: list[Command], fact: Fact
) -> str:
    if row.wanted == Wanted.DELETED:
        return row.status
    during = ASKS[left[0].verb].during if left else None
    if during is not None:
        return during
    if failed and failed[-1].verb in BEGINNINGS:
        return MOVES[Status(row.status), Event.FAILED]
    if not fact.known:
        return row.status
    present = Status(row.status)
    began = any(c.verb in BEGINNINGS and c not in failed for c in done)
    if began or (fact.seen and _newer(fact.seen.started_at, row.started_at)):
        present = Status.CREATING  # whatever it was before, it has run since
    if fact.restarting:
        return MOVES[present, Event.RESTARTING]
    state = fact.seen.state if fact.seen else State.ABSENT
    return MOVES[present, Event(state.value)]


def _newer(seen: float | None, known: float | None) -> bool:
    return seen is not None and (known is None or seen > known)


def _task(left: list[Command], fact: Fact) -> str | None:
    if not left:
        return None
    task = fact.task or ASKS[left[0].verb].task
    return task.value if task else None


def _observations(row: Observed, fact: Fact) -> dict[str, Any]:
    if fact.seen is None:
        return {}
    values: dict[str, Any] = {"health": fact.seen.health.value if fact.seen.health else None}
    if fact.seen.started_at is not None:
        values["started_at"] = fact.seen.started_at
    if fact.seen.state in (State.EXITED, State.DEAD):
        values |= {"finished_at": fact.seen.finished_at, "exit_code": fact.seen.exit_code}
    look: Look | UnsetType = fact.seen.look
    if look is not UNSET and (encoded := _encode(look)) != row.look:
        values["look"] = encoded
    return values


def _leaves(row: Observed, left: list[Command], fact: Fact) -> bool:
    return (
        row.auto_remove
        and not left
        and not fact.restarting
        and fact.seen is not None
        and fact.seen.state is State.EXITED
        and row.wanted != Wanted.DELETED
    )


def apply(
    tx: Tx, row: Observed, commands: list[Command], fact: Fact, epoch: int, at: float
) -> dict[str, Any]:
    """Write what the fact changes, but for the row's columns, which are returned: several rows are
    written together. The caller made sure that the fact is the newest.
    """
    settled = settle(row, commands, fact)
    for result in settled.closed:
        command = next(command for command in commands if command.id == result.id)
        if command.verb is Verb.COMMIT:
            _committed(tx, row, command, result)
        if command.verb is not Verb.COMMIT or not result.ok:
            _close(tx, row.uuid, result, command)
    if settled.gone:
        rows.bury(tx, row, at)
        return {}
    counters = {"fact_epoch": epoch, "fact_sequence": fact.sequence}
    values = {k: v for k, v in settled.values.items() if v != getattr(row, k)}
    if values:
        values["updated_at"] = at
        projects.changed(tx, row.project_id, row.uuid, "observed", at, row.capsule_id)
    values |= counters
    if settled.leave:
        containers.observe(tx, row.uuid, values)
        context = Context(
            user_id=row.user_id, project_id=row.project_id, request_id=f"req-{row.uuid}"
        )
        params = {"stop": False, "force": False, "timeout": 0}
        rows.condemn(tx, context, rows.present(tx, row.uuid), params, at)
        return {}
    return values


def _committed(tx: Tx, row: Observed, command: Command, result: Result) -> None:
    """The host's part of a commit is over: control/commits.py does the rest."""
    stage = Stage.MADE if result.ok else Stage.FAILED
    if not result.ok or actions.hand_over(tx, command.id):
        image_id = str(command.params["image"])
        commits.move(tx, image_id, [Stage.ASKED], stage, host=row.host)


def _close(tx: Tx, uuid: str, result: Result, command: Command) -> None:
    outcome = "Success" if result.ok else "Error"
    moments = []
    if why := command.params.get("why"):  # nobody asked for it
        moments.append(
            record.Moment(
                event=why,
                start_time=result.started_at,
                finish_time=result.started_at,
                result="Success",
            )
        )
    moments += [
        record.Moment(
            event=step.event,
            start_time=step.started_at,
            finish_time=step.finished_at,
            result="Success" if step.ok else "Error",
            traceback=step.message,
        )
        for step in result.steps
    ]
    moments.append(
        record.Moment(
            event=actions.event(command.verb),
            start_time=result.started_at,
            finish_time=result.finished_at,
            result=outcome,
            traceback=None if result.ok else result.message,
        )
    )
    if result.ok and result.message:  # what the host wants people to know, such as an old image
        moments.append(
            record.Moment(
                event=result.message,
                start_time=result.finished_at,
                finish_time=result.finished_at,
                result=outcome,
            )
        )
    closed = actions.close(
        tx,
        result.id,
        ok=result.ok,
        message=None if result.ok else actions.FAILED,
        at=result.finished_at,
        events=tuple(moments),
    )
    if closed:
        tx.then(lambda: _tell(uuid, command, result))


def _tell(uuid: str, command: Command, result: Result) -> None:
    with trace.of(command.request_id):
        if result.ok:
            LOG.info("container %s: %s is done", uuid, command.verb)
        else:
            LOG.warning("container %s: %s failed: %s", uuid, command.verb, result.message)
