"""Limits of projects: their own, those of the class `default`, and the configured ones."""

from __future__ import annotations

from msgspec.structs import asdict

from dolium import conf
from dolium.model.quota import DEFAULT, UNLIMITED, Amounts, Limits
from dolium.store import projects, quota_classes
from dolium.store.store import Connection, Store


def configured(quota: conf.Quota) -> Amounts:
    """The limits of `[quota]`."""
    return Amounts(
        containers=quota.containers,
        cpu_m=UNLIMITED if quota.cpu == UNLIMITED else quota.cpu * 1000,
        memory_mib=quota.memory,
        disk_gib=quota.disk,
    )


class Quotas:
    """The verbs of quotas and quota classes. What is over a lowered limit already may stay."""

    def __init__(self, store: Store, quota: conf.Quota) -> None:
        self._store = store
        self._configured = configured(quota)

    def defaults(self) -> Amounts:
        """What projects may use that have no limits of their own."""
        return self.of_class(DEFAULT)

    def of_class(self, name: str) -> Amounts:
        """The limits of a class; what it does not say is configured."""
        with self._store.read() as connection:
            return self._class(connection, name)

    def of_project(self, project_id: str) -> Amounts:
        """What a project may use."""
        with self._store.read() as connection:
            return self._project(connection, project_id)

    def used(self, project_id: str) -> tuple[Amounts, Amounts]:
        """What a project may use, and what its containers do, at one moment."""
        with self._store.read() as connection:
            return self._project(connection, project_id), projects.used(connection, project_id)

    def limit(self, project_id: str, own: Limits) -> Amounts:
        """Give a project some limits of its own; returns all it has then."""
        self._store.write(lambda tx: projects.limit(tx, project_id, own))
        return self.of_project(project_id)

    def unlimit(self, project_id: str) -> None:
        """A project has what all have that nobody limited."""
        self._store.write(lambda tx: projects.unlimit(tx, project_id))

    def limit_class(self, name: str, changed: Limits) -> Amounts:
        """Change some limits of a class; returns all it has then."""
        self._store.write(lambda tx: quota_classes.limit(tx, name, changed))
        return self.of_class(name)

    def _class(self, connection: Connection, name: str) -> Amounts:
        return _with(self._configured, quota_classes.limits(connection, name))

    def _project(self, connection: Connection, project_id: str) -> Amounts:
        return _with(self._class(connection, DEFAULT), projects.limits(connection, project_id))


def _with(limits: Amounts, changed: Limits) -> Amounts:
    return Amounts(**(asdict(limits) | changed))
