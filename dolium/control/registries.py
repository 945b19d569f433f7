"""Registries of projects: where images come from, and who signs in there."""

from __future__ import annotations

import uuid as uuids
from typing import Any

from dolium import errors
from dolium.control.cipher import Cipher
from dolium.model import reading, record
from dolium.model.clock import Clock
from dolium.model.container import Spec
from dolium.model.context import Context
from dolium.model.ident import is_uuid
from dolium.model.registry import Login, Registry
from dolium.store import containers, registries
from dolium.store.store import Store, Tx

_spec = reading.reader(Spec)


class Registries:
    """The verbs of registries. Passwords come in, are sealed, and go to hosts only."""

    def __init__(self, store: Store, clock: Clock, cipher: Cipher) -> None:
        self._store = store
        self._clock = clock
        self._cipher = cipher

    def find(self, context: Context, ident: str) -> Registry:
        """One by id or name. Administrators find everybody's; others only their project's."""
        return self._one(ident, None if context.is_admin else context.project_id)

    def of_project(self, project_id: str, ident: str) -> Registry:
        """One that a container of the project may use, by id or name."""
        return self._one(ident, project_id)

    def _one(self, ident: str, project_id: str | None) -> Registry:
        with self._store.glance() as connection:
            if is_uuid(ident):
                row = registries.get(connection, ident)
                found = [row] if row and project_id in (None, row.project_id) else []
            else:
                found = registries.named(connection, ident, project_id)
        if not found:
            raise errors.NotFound(kind="Registry", id=ident)
        if len(found) > 1:
            why = (
                f"Multiple registries exist with same name '{ident}'. Please use the uuid instead."
            )
            raise errors.Conflict(why=why)
        return found[0]

    def list(self, context: Context, query: record.Query) -> list[Registry]:
        """One page, of the caller's project unless all are asked for."""
        with self._store.read() as connection:
            mine = None if query.all_projects else context.project_id
            return registries.page(connection, query, mine)

    def create(self, context: Context, given: dict[str, Any]) -> Registry:
        """A new one of the caller's project, from name, domain, username and password."""
        uuid = str(uuids.uuid4())
        values = dict.fromkeys(("name", "username", "sealed")) | self._sealed(given)
        values |= {"uuid": uuid, "project_id": context.project_id, "user_id": context.user_id}
        values["created_at"] = self._clock.now()

        def work(tx: Tx) -> Registry:
            registries.insert(tx, values)
            return _must(registries.get(tx.connection, uuid), uuid)

        return self._store.write(work)

    def update(self, row: Registry, given: dict[str, Any]) -> Registry:
        """Change name, domain, username or password; the next pull takes what it is then."""
        values = self._sealed(given) | {"updated_at": self._clock.now()}

        def work(tx: Tx) -> Registry:
            registries.change(tx, row.uuid, values)
            return _must(registries.get(tx.connection, row.uuid), row.uuid)

        return self._store.write(work)

    def delete(self, row: Registry) -> None:
        """Forget it; raises Conflict while a container was created with it."""

        def work(tx: Tx) -> None:
            user = registries.user(tx, row)
            if user is not None:
                raise errors.Conflict(why=f"Registry {row.uuid} is in use by container {user}.")
            if not registries.delete(tx, row.uuid):
                raise errors.NotFound(kind="Registry", id=row.uuid)

        self._store.write(work)

    def login(self, host: str, container_uuid: str) -> Login:
        """For the host that a container is on, when it is about to pull."""
        with self._store.read() as connection:
            row = containers.observed(connection, [container_uuid]).get(container_uuid)
            if row is None or row.host != host:
                raise errors.NotFound(kind="Container", id=container_uuid)
            uuid = _spec(row.spec).registry_id or ""
            registry = registries.get(connection, uuid)
        if registry is None:
            raise errors.NotFound(kind="Registry", id=uuid)
        sealed = registry.sealed
        return Login(
            domain=registry.domain,
            username=registry.username,
            password=None if sealed is None else self._cipher.open(sealed),
        )

    def _sealed(self, given: dict[str, Any]) -> dict[str, Any]:
        values = dict(given)
        if "password" in values:
            values["sealed"] = self._cipher.seal(values.pop("password"))
        return values


def _must(row: Registry | None, uuid: str) -> Registry:
    if row is None:
        raise errors.NotFound(kind="Registry", id=uuid)
    return row
