"""What users do with containers: every change is a wish and an action in one transaction."""

from __future__ import annotations

import random
import uuid as uuids
from collections.abc import Callable
from typing import Any

import msgspec

from dolium import conf, errors
from dolium.control import attachments, claims, parts, rows
from dolium.control.attachments import Which
from dolium.control.claims import Claims
from dolium.control.names import friendly
from dolium.control.quotas import configured
from dolium.model import hints, reading, record
from dolium.model.capsule import Part
from dolium.model.clock import Clock
from dolium.model.container import (
    ASKS,
    DELETE_AFTER_STOP,
    DELETE_FORCE,
    QUESTIONS,
    Look,
    Spec,
    Status,
    Verb,
    Wanted,
    check,
    guarded,
    shown,
)
from dolium.model.context import Context
from dolium.model.ident import is_uuid
from dolium.model.image import Source
from dolium.model.network import Port
from dolium.model.quota import Amounts
from dolium.store import actions, containers, groups, hosts, projects, registries
from dolium.store.store import Follower, Store, Tx

Rows = list[record.Container]
Journal = list[record.Action]

_encode = msgspec.json.encode
_spec = reading.reader(Spec)

STOP_BEFORE_DELETE_S = 10
"""How long a container may take to stop when it is to be deleted after that."""


class Containers:
    """The verbs of the container API. Nothing here waits for a host."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        quota: conf.Quota,
        rng: random.Random | None = None,
        tenant_runtime: str = "",
        new_id: Callable[[], str] = lambda: str(uuids.uuid4()),
        place: Follower | None = None,
        claims: Claims | None = None,
    ) -> None:
        """place: finds hosts within a commit, where the placer is in this process. claims: where
        Placement has the last word about what a container gets.
        """
        self._claims = claims
        self._store = store
        self._clock = clock
        self._rng = rng or random.Random()
        self._tenant_runtime = tenant_runtime or None
        self._new_id = new_id
        self._place = place
        self._limits = configured(quota)

    # --- reading ---------------------------------------------------------------------------

    def find(self, context: Context, ident: str, all_projects: bool = False) -> record.Container:
        """One by id or name. Administrators find everybody's; others only their project's."""
        project = None if context.is_admin or all_projects else context.project_id
        with self._store.glance() as connection:
            if is_uuid(ident):
                row = containers.get(connection, ident)
                own = row is not None and project in (None, row.project_id)
                found = [row] if row and own and row.part != Part.SANDBOX else []
            else:
                found = containers.named(connection, ident, project)
        if not found:
            raise errors.NotFound(kind="Container", id=ident)
        if len(found) > 1:
            raise errors.Ambiguous(kind="container", id=ident)
        return found[0]

    def list(self, context: Context, query: record.Query) -> Rows:
        """One page, of the caller's project unless all are asked for."""
        project = None if query.all_projects else context.project_id
        with self._store.read() as connection:
            return containers.page(connection, query, project)

    def actions(self, row: record.Container) -> Journal:
        """What was asked of the container, newest first."""
        with self._store.read() as connection:
            return actions.of_container(connection, row.uuid)

    def action(self, row: record.Container, request_id: str) -> record.Action:
        """One of them by the id of the request that asked."""
        with self._store.read() as connection:
            found = actions.of_container(connection, row.uuid, request_id)
        if not found:
            raise errors.NotFound(kind="The Action resource", id=request_id)
        return found[0]

    def ports(self, row: record.Container) -> tuple[Port, ...]:
        """Its places on networks."""
        with self._store.read() as connection:
            return (*attachments.ports(connection, row.uuid),)

    # --- changing --------------------------------------------------------------------------

    def create(self, context: Context, name: str | None, spec: Spec, run: bool) -> record.Container:
        """Write the wish down; placing and the host's agent do the rest."""
        if spec.runtime is None and self._tenant_runtime:
            spec = msgspec.structs.replace(spec, runtime=self._tenant_runtime)
        now, uuid = self._clock.now(), self._new_id()
        values = fresh(context, uuid, name or friendly(self._rng), spec, run=run, at=now)
        if spec.registry_id:
            values["registry_id"] = spec.registry_id
        named = hints.read(spec.hints).group
        group = (context.project_id, named) if named else None

        def work(tx: Tx) -> record.Container:
            if spec.requested_host and not hosts.get(tx.connection, spec.requested_host):
                raise errors.NotFound(kind="Requested host", id=spec.requested_host)
            if spec.registry_id and not registries.keep(tx, spec.registry_id):
                raise errors.NotFound(kind="Registry", id=spec.registry_id)
            joined = {} if group is None else {"group_id": groups.join(tx, *group)}
            projects.reserve(tx, context.project_id, rows.amounts(spec), self._limits)
            row = containers.insert(tx, values | joined)
            actions.add(
                tx,
                context,
                container_uuid=uuid,
                project_id=context.project_id,
                generation=1,
                verb=Verb.CREATE,
                params={"run": run},
                at=now,
            )
            projects.changed(tx, context.project_id, uuid, "created", now)
            self._seek(tx)
            return row

        return self._store.write(work)

    def ask(
        self, context: Context, row: record.Container, verb: Verb, params: dict[str, Any]
    ) -> None:
        """start, stop, reboot, kill, pause or unpause; raises WrongState."""

        def work(tx: Tx) -> None:
            present = rows.present(tx, row.uuid)
            rows.alone(present)
            check(verb.value, ASKS[verb].allowed, row.uuid, present.status)
            again = present.host is None and ASKS[verb].starts
            values: dict[str, Any] = {}
            if again:  # it never found a host: look for one once more
                values = {"stage": "waiting", "status": Status.CREATING.value}
                self._seek(tx)
            rows.wish(tx, context, present, verb, params, self._clock.now(), values)

        self._store.write(work)

    def rebuild(
        self, context: Context, row: record.Container, source: Source | None = None
    ) -> None:
        """Make it anew, from another image if one is given, on the ports it has. It runs again if
        it runs now; raises WrongState.
        """

        def work(tx: Tx) -> None:
            present = rows.present(tx, row.uuid)
            rows.alone(present)
            check("rebuild", ASKS[Verb.REBUILD].allowed, row.uuid, present.status)
            run = _runs(tx, present)
            values: dict[str, Any] = {"created_generation": present.generation + 1}
            if source is not None:
                values |= documents(_from(source, _spec(present.spec)))
            if not run:
                values["wanted"] = Wanted.CREATED.value
            if present.host is None:  # it never found one: look for one once more
                values["stage"] = "waiting"
                self._seek(tx)
            params = {"run": run, "was": present.created_generation}
            rows.wish(tx, context, present, Verb.REBUILD, params, self._clock.now(), values)

        self._store.write(work)

    def detach(self, context: Context, row: record.Container, which: Which) -> None:
        """Take it off a network; raises NotFound, NotAttached, WrongState."""
        self._plug(context, row, which, Verb.NETWORK_DETACH)

    def attach(self, context: Context, row: record.Container, which: Which) -> None:
        """Put it on a network again; raises NotFound, Attached, Invalid, WrongState."""
        self._plug(context, row, which, Verb.NETWORK_ATTACH)

    def _plug(self, context: Context, row: record.Container, which: Which, verb: Verb) -> None:
        switch = attachments.attach if verb is Verb.NETWORK_ATTACH else attachments.detach

        def work(tx: Tx) -> None:
            present = rows.present(tx, row.uuid)
            rows.alone(present)
            check(verb.value, ASKS[verb].allowed, row.uuid, present.status)
            switch(tx, context, present, which, self._clock.now())

        self._store.write(work)

    def _seek(self, tx: Tx) -> None:
        """Something waits for a host."""
        if self._place:
            tx.follow("placer", self._place)
        else:
            tx.hint("placer")

    def patch(
        self,
        context: Context,
        row: record.Container,
        *,
        name: str | None = None,
        cpu: float | None = None,
        memory: str | None = None,
        auto_heal: bool | None = None,
    ) -> record.Container:
        """Change name, cpu, memory or auto_heal; raises WrongState, OverQuota, NoHost."""
        growth = self._grow(row, cpu, memory)

        def work(tx: Tx) -> record.Container:
            capsule = parts.hold(tx, row.capsule_id) if row.capsule_id else None
            present = rows.present(tx, row.uuid)
            check("update", ASKS[Verb.UPDATE].allowed, row.uuid, present.status)
            old = _spec(present.spec)
            new = _resized(old, cpu, memory)
            if auto_heal is not None:
                new = msgspec.structs.replace(new, auto_heal=_may_heal(row, auto_heal))
            values = documents(new) | {"name": name or present.name}
            if capsule:
                values |= parts.CLAIMED_BY_SANDBOX
            now = self._clock.now()
            same = (new.cpu, new.memory) == (old.cpu, old.memory)
            if same and new.auto_heal <= old.auto_heal:
                rows.note(tx, present, now, values)
            elif same:  # its host has to know: see control/lost.py
                rows.wish(tx, context, present, Verb.UPDATE, {}, now, values)
            else:
                if growth is not None:
                    claims.check(tx, growth)
                if capsule:
                    whole = capsule.resized(row.uuid, new)
                    self._resize(tx, capsule.sandbox, capsule.spec, whole)
                    containers.observe(tx, capsule.sandbox.uuid, documents(whole))
                else:
                    self._resize(tx, present, old, new)
                rows.wish(tx, context, present, Verb.UPDATE, {}, now, values)
            return _must(containers.get(tx.connection, row.uuid), row.uuid)

        return self._store.write(work)

    def _grow(
        self, row: record.Container, cpu: float | None, memory: str | None
    ) -> claims.Growth | None:
        """Where Placement has the last word, it is asked first: not within a transaction."""
        if self._claims is None or (cpu is None and memory is None):
            return None
        with self._store.read() as connection:
            present = containers.observed(connection, [row.uuid]).get(row.uuid)
        if present is None:
            raise errors.NotFound(kind="Container", id=row.uuid)
        check("update", ASKS[Verb.UPDATE].allowed, row.uuid, present.status)
        new = _resized(_spec(present.spec), cpu, memory)
        if row.capsule_id:
            with self._store.read() as connection:
                new = parts.read(connection, row.capsule_id).resized(row.uuid, new)
        cpu_m = None if new.cpu_policy == "dedicated" else new.cpu_m
        return self._claims.grow(row.capsule_id or row.uuid, cpu_m, new.memory_mib)

    def _resize(self, tx: Tx, present: containers.Observed, old: Spec, new: Spec) -> None:
        alone = old.cpu_policy == "dedicated"
        if alone and new.cpu != old.cpu:
            raise errors.Invalid(field="cpu", why="Dedicated CPUs can't be more or less later.")
        more = Amounts(cpu_m=new.cpu_m - old.cpu_m, memory_mib=new.memory_mib - old.memory_mib)
        cpu_m = None if alone else new.cpu_m
        fits = hosts.reclaim(tx, present.uuid, cpu_m, new.memory_mib)  # hosts before projects
        projects.reserve(tx, present.project_id, more, self._limits)
        if not fits:
            raise errors.NoHost(why=f"host of container {present.uuid} has no room for more")

    def delete(
        self,
        context: Context,
        row: record.Container,
        *,
        force: bool = False,
        stop: bool = False,
    ) -> None:
        """Wish it gone; the row goes when the host says that nothing is left of it."""
        if stop:
            allowed = DELETE_AFTER_STOP
        else:
            allowed = DELETE_FORCE if force else ASKS[Verb.DELETE].allowed
        params = {"stop": stop, "force": force, "timeout": STOP_BEFORE_DELETE_S}

        def work(tx: Tx) -> None:
            present = rows.present(tx, row.uuid)
            rows.alone(present)
            check("delete", allowed, row.uuid, present.status)
            rows.condemn(tx, context, present, params, self._clock.now())

        self._store.write(work)


def _runs(tx: Tx, row: containers.Observed) -> bool:
    """Whether it runs, or will when its host has done what was asked before."""
    if row.wanted not in (Wanted.RUNNING, Wanted.PAUSED):
        return False
    if row.status == Status.RUNNING:
        return True
    commands = actions.opened(tx.connection, [row.uuid]).get(row.uuid, [])
    return any(ASKS[c.verb].starts or c.params.get("run") for c in commands)


def _may_heal(row: record.Container, auto_heal: bool) -> bool:
    if auto_heal and row.capsule_id:
        raise errors.Invalid(field="auto_heal", why="A capsule stays on its host.")
    return auto_heal


def _from(source: Source, spec: Spec) -> Spec:
    return msgspec.structs.replace(
        spec, image=source.image, image_driver=source.driver, pin=source.pin
    )


def _resized(spec: Spec, cpu: float | None, memory: str | None) -> Spec:
    return msgspec.structs.replace(
        spec,
        cpu=spec.cpu if cpu is None else cpu,
        memory=spec.memory if memory is None else memory,
    )


def asked(row: record.Container, what: str) -> str:
    """The host that can answer the question; raises WrongState, HostDown."""
    check(what, QUESTIONS[what], row.uuid, row.status)
    if row.host is None:
        raise errors.HostDown(host="(none: the container was never placed)")
    return row.host


def fresh(
    context: Context, uuid: str, name: str, spec: Spec, *, run: bool, at: float
) -> dict[str, Any]:
    """The row of a container that was asked for just now."""
    return {
        "uuid": uuid,
        "name": name,
        "project_id": context.project_id,
        "user_id": context.user_id,
        "status": Status.CREATING.value,
        "stage": "waiting",
        "wanted": (Wanted.RUNNING if run else Wanted.CREATED).value,
        "generation": 1,
        "created_generation": 1,
        "start_epoch": 1 if run else 0,
        "observed_generation": 0,
        "fact_epoch": 0,
        "fact_sequence": 0,
        "revision": 0,
        "created_at": at,
        "look": _encode(_wished(spec)),
        "addresses": b"null",
    } | documents(spec)


def documents(spec: Spec) -> dict[str, Any]:
    """The columns that a wish is written down in."""
    return {
        "image": spec.image,
        "memory": spec.memory,
        "auto_remove": spec.auto_remove,
        "cpu_m": spec.cpu_m,
        "memory_mib": spec.memory_mib,
        "disk_gib": spec.disk,
        "spec": _encode(spec),
        "shown": _encode(shown(spec)),
        "guarded": _encode(guarded(spec)),
    }


def _wished(spec: Spec) -> Look:
    return Look(
        command=spec.command,
        environment=spec.environment,
        workdir=spec.workdir,
        hostname=spec.hostname,
        entrypoint=spec.entrypoint,
    )


def _must(row: record.Container | None, uuid: str) -> record.Container:
    if row is None:
        raise errors.NotFound(kind="Container", id=uuid)
    return row
