"""What users do with capsules: created as one, placed as one, deleted as one."""

from __future__ import annotations

import random
import uuid as uuids
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from dolium import conf, errors
from dolium.control import rows
from dolium.control.containers import STOP_BEFORE_DELETE_S, fresh
from dolium.control.names import friendly, greek
from dolium.control.parts import CLAIMED_BY_SANDBOX, Capsule, hold, read, whole
from dolium.control.quotas import configured
from dolium.model import capsule, record
from dolium.model.capsule import Part
from dolium.model.clock import Clock
from dolium.model.container import RestartPolicy, Spec, Status, Verb
from dolium.model.context import Context
from dolium.model.ident import is_uuid
from dolium.model.quota import Amounts
from dolium.store import actions, capsules, containers, projects
from dolium.store.store import Follower, Store, Tx


class Template(NamedTuple):
    """What somebody asked for."""

    name: str | None
    labels: dict[str, str] | None
    annotations: dict[str, Any] | None
    restart_policy: RestartPolicy
    availability_zone: str | None
    inits: Sequence[Spec]
    containers: Sequence[Spec]


class Capsules:
    """The verbs of the capsule API. Nothing here waits for a host."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        quota: conf.Quota,
        rng: random.Random | None = None,
        tenant_runtime: str = "",
        new_id: Callable[[], str] = lambda: str(uuids.uuid4()),
        place: Follower | None = None,
    ) -> None:
        """place: finds hosts within a commit, where the placer is in this process."""
        self._store = store
        self._clock = clock
        self._rng = rng or random.Random()
        self._tenant_runtime = tenant_runtime or None
        self._new_id = new_id
        self._place = place
        self._limits = configured(quota)

    # --- reading ---------------------------------------------------------------------------

    def find(self, context: Context, ident: str) -> Capsule:
        """One by id or name. Administrators find everybody's; others only their project's."""
        project = None if context.is_admin else context.project_id
        with self._store.read() as connection:
            ids = [ident] if is_uuid(ident) else capsules.named(connection, ident, project)
            parts = capsules.parts(connection, ids)
        found = [
            whole(each)
            for each in parts.values()
            if each[0].part == Part.SANDBOX and project in (None, each[0].project_id)
        ]
        if not found:
            raise errors.NotFound(kind="Container", id=ident)  # as the API says of capsules too
        if len(found) > 1:
            raise errors.Ambiguous(kind="capsule", id=ident)
        return found[0]

    def list(self, context: Context, query: record.Query) -> list[Capsule]:
        """One page, of the caller's project unless all are asked for."""
        project = None if query.all_projects else context.project_id
        with self._store.read() as connection:
            page = containers.page(connection, query, project, capsules=True)
            parts = capsules.parts(connection, [row.uuid for row in page])
        return [whole(parts[row.uuid]) for row in page]

    # --- changing --------------------------------------------------------------------------

    def create(self, context: Context, template: Template) -> Capsule:
        """Write the wish down; placing and the host's agent do the rest. Raises Conflict where
        tenants get a runtime that lets containers share nothing.
        """
        if (self._tenant_runtime or "") not in capsule.SHARING:
            why = f"Containers run with {self._tenant_runtime} here, and so can't share a network."
            raise errors.Conflict(why=why)
        now, uuid = self._clock.now(), self._new_id()
        name = template.name or friendly(self._rng, "capsule")
        total = capsule.amounts(template.inits, template.containers)
        sandbox = Spec(
            image="",
            cpu=total.cpu_m / 1000,
            memory=str(total.memory_mib),
            labels=template.labels,
            annotations=template.annotations,
            restart_policy=template.restart_policy,
            availability_zone=template.availability_zone,
            runtime=self._tenant_runtime,
        )
        wanted = [(uuid, name, sandbox, Part.SANDBOX)]
        for part, specs in ((Part.INIT, template.inits), (Part.CONTAINER, template.containers)):
            for spec in specs:
                its = msgspec.structs.replace(spec, runtime=self._tenant_runtime)
                its_name = f"capsule-{template.name or uuid}-{greek(self._rng)}"
                wanted.append((self._new_id(), its_name, its, part))

        needs = Amounts(containers=len(wanted) - 1, cpu_m=total.cpu_m, memory_mib=total.memory_mib)

        def work(tx: Tx) -> Capsule:
            projects.reserve(tx, context.project_id, needs, self._limits)
            for each in wanted:
                self._insert(tx, context, uuid, *each, at=now)
            projects.changed(tx, context.project_id, uuid, "created", now, uuid)
            if self._place:
                tx.follow("placer", self._place)
            else:
                tx.hint("placer")
            return read(tx.connection, uuid)

        return self._store.write(work)

    def _insert(
        self,
        tx: Tx,
        context: Context,
        capsule_id: str,
        uuid: str,
        name: str,
        spec: Spec,
        part: Part,
        *,
        at: float,
    ) -> None:
        values = fresh(context, uuid, name, spec, run=True, at=at)
        values |= {"capsule_id": capsule_id, "part": part.value}
        if part is Part.SANDBOX:
            values["stage"] = containers.GATHERING
        else:
            values |= CLAIMED_BY_SANDBOX
            values |= {"stage": capsules.FOLLOWS, "addresses": b"{}"}
        containers.insert(tx, values)
        actions.add(
            tx,
            context,
            container_uuid=uuid,
            project_id=context.project_id,
            generation=1,
            verb=Verb.CREATE,
            params={"run": True},
            at=at,
        )

    def delete(self, context: Context, found: Capsule) -> None:
        """Wish all of it gone, whatever is going on: the sandbox goes last."""

        def work(tx: Tx) -> None:
            params = {"stop": True, "force": False, "timeout": STOP_BEFORE_DELETE_S}
            for row in reversed(hold(tx, found.sandbox.uuid).parts):
                if row.status != Status.DELETING:
                    rows.condemn(tx, context, row, params, self._clock.now())

        self._store.write(work)
