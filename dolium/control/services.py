"""What operators see of hosts and say about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.control import lost
from dolium.model import reading, record
from dolium.model.clock import Clock
from dolium.model.host import Inventory
from dolium.store import containers, images, liveness, services
from dolium.store.services import Service
from dolium.store.store import Store, Tx

MOST_SHOWN = 10_000
"""Containers of one host that are told of."""

_inventory = reading.reader(Inventory)


class Host(Struct, frozen=True, kw_only=True):
    """One host with what it has and what is on it."""

    service: Service
    inventory: Inventory
    containers: int


class Services:
    """The verbs of the hosts and services of the container API, and of `dolium host`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # --- reading ---------------------------------------------------------------------------

    def all(self) -> list[Service]:
        """All of them, in the order of their arrival."""
        with self._store.read() as connection:
            return services.all_of_them(connection)

    def hosts(self) -> list[Host]:
        """All of them with what they have."""
        with self._store.read() as connection:
            found = services.all_of_them(connection)
            crowds = services.crowds(connection)
        return [_host(service, crowds) for service in found]

    def host(self, ident: str) -> Host:
        """One by name or id."""
        with self._store.read() as connection:
            found = services.find(connection, ident)
            crowds = services.crowds(connection)
        if found is None:
            raise errors.NotFound(kind="Compute node", id=ident)
        return _host(found, crowds)

    def containers(self, name: str) -> list[record.Container]:
        """What is on a host, oldest first."""
        with self._store.read() as connection:
            query = record.Query(limit=MOST_SHOWN, all_projects=True, filters={"host": name})
            return containers.page(connection, query, None)

    def zones(self) -> list[str]:
        """Every zone that has a host."""
        with self._store.read() as connection:
            return services.zones(connection)

    # --- changing --------------------------------------------------------------------------

    def enable(self, name: str) -> None:
        """The host may take containers again."""
        self._say(name, disabled=False, disabled_reason=None)

    def disable(self, name: str, reason: str | None) -> None:
        """The host gets nothing new; what is on it stays."""
        self._say(name, disabled=True, disabled_reason=reason)

    def force_down(self, name: str, down: bool) -> None:
        """Declare a host down, or take that back. It gets nothing new; of a host that is silent
        from then on it is the proof that nothing of it runs any more.
        """
        self._tell(name, lambda tx: services.force(tx, name, down=down))
        if down:
            self._mark(name)

    def declare(self, name: str) -> None:
        """Say that nothing runs on the host any more, for certain and whatever it says."""
        self._tell(name, lambda tx: services.declare(tx, name, lost.OPERATOR))
        self._mark(name)

    def heal(self, name: str) -> None:
        """A host that fell silent with many others is to be dealt with like any other."""
        self._say(name, held=False)

    def delete(self, name: str) -> None:
        """Forget a host; one that lives comes back by itself. Raises Conflict while it has
        containers.
        """

        def work(tx: Tx) -> None:
            if services.find(tx.connection, name) is None:
                raise _unknown(name)
            if not services.delete(tx, name):
                raise errors.Conflict(why=f"Host {name} still has containers")
            images.forget(tx, name)
            tx.hint("placer")

        self._store.write(work)

    def _say(self, name: str, **values: Any) -> None:
        self._tell(name, lambda tx: services.say(tx, name, **values))

    def _tell(self, name: str, word: Callable[[Tx], bool]) -> None:
        def work(tx: Tx) -> None:
            if not word(tx):
                raise _unknown(name)
            tx.hint("placer")

        self._store.write(work)

    def _mark(self, name: str) -> None:
        """Its containers are Unknown, until it tells of them."""
        reason = f"Host {name} was declared down"
        with self._store.glance() as connection:
            found = liveness.unmarked(connection, name)
        lost.mark_all(self._store, name, found, reason, self._clock.now())


def _host(service: Service, crowds: dict[str, int]) -> Host:
    return Host(
        service=service,
        inventory=_inventory(service.inventory).known(service.name, service.hypervisor),
        containers=crowds.get(service.name, 0),
    )


def _unknown(name: str) -> errors.NotFound:
    return errors.NotFound(kind="Service", id=f"zun-compute on host {name}")
