"""OpenStack's Placement as the arbiter: Nova and Dolium share hosts without promising twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.clients.account import account
from dolium.clients.placement import CONSUMER, Placement
from dolium.drivers.claim.base import Driver, Holding, Offer, Survey, Taking
from dolium.model.placing import Amounts, whole

TYPE = "DOLIUM_CONTAINER"
"""The type of our consumers; their user is the deployment, so that two don't touch each other's."""
TRIES = 10
"""Times a request is made that somebody else's was quicker than. Placement should not try again by
itself: see docs/howto/share-hosts-with-nova.md.
"""
CPU, MEMORY, DISK = "VCPU", "MEMORY_MB", "DISK_GB"


class PlacementOptions(Struct, frozen=True, kw_only=True):
    """Where it is, and who asks."""

    auth_url: str
    username: str
    password: str
    project_name: str
    domain_name: str = "Default"
    region_name: str = ""
    endpoint: str = ""
    deployment: str = ""


class PlacementClaim(Driver):
    """Hosts are resource providers, containers are consumers. CPUs are counted whole."""

    name = "placement"
    Options = PlacementOptions

    def __init__(self, options: PlacementOptions, placement: Placement | None = None) -> None:
        """placement: another than the one the options name, for tests."""
        if placement is None and not options.auth_url:
            raise errors.StartError(why="[placement] auth_url is not set")
        self._options = options
        self._known = placement

    @property
    def _placement(self) -> Placement:
        if self._known is None:
            self._known = Placement(account(self._options))
        return self._known

    def find(self, name: str) -> str | None:
        """See base."""
        return self._placement.provider_named(name)

    def offer(self, provider: str, name: str, offer: Offer) -> None:
        """See base."""
        try:
            known = self._placement.inventories(provider)
        except errors.Absent:
            self._make(provider, name)
            known = self._placement.inventories(provider)
        wanted = _inventories(offer)
        for _ in range(TRIES):
            inventories, generation = known
            if _same(inventories, wanted):
                return
            try:
                merged = {**inventories, **wanted}  # what operators add to it stays
                self._placement.set_inventories(provider, merged, generation)
                return
            except errors.Changed:
                known = self._placement.inventories(provider)
        raise errors.Unanswered(what="Placement", why=f"provider {name} changes all the time")

    def _make(self, provider: str, name: str) -> None:
        try:
            self._placement.make_provider(provider, name)
        except errors.Refused:
            # Another conductor made it just now, or somebody else's has the name.
            if self._placement.provider_named(name) != provider:
                why = f"Placement has a provider named {name} that is not this host's"
                raise errors.Refused(why=why) from None

    def survey(self, provider: str) -> Survey:
        """See base."""
        inventories, _ = self._placement.inventories(provider)
        taken = self._placement.taken(provider)
        room = Amounts(
            _room(inventories.get(CPU)) * 1000,
            _room(inventories.get(MEMORY)),
            _room(inventories.get(DISK)),
        )
        return Survey(room=room, held={name: _amounts(each) for name, each in taken.items()})

    def take(self, takings: Sequence[Taking]) -> None:
        """See base."""
        wanted = {taking.consumer: self._body(taking, None) for taking in takings}
        self._allocate(lambda: self._placement.allocate(wanted))

    def change(self, taking: Taking, turn: int) -> None:
        """See base."""
        body = self._body(taking, turn)
        self._allocate(lambda: self._placement.reallocate(taking.consumer, body))

    def _allocate(self, ask: Callable[[], None]) -> None:
        for _ in range(TRIES):
            try:
                return ask()
            except errors.Refused as error:
                raise errors.Full(what="The host", why=str(error)) from None
            except errors.Changed as error:
                if error.facts["kind"] == CONSUMER:
                    raise errors.Refused(why="A consumer has something else already") from None
        raise errors.Unanswered(what="Placement", why="a provider changes all the time")

    def _body(self, taking: Taking, turn: int | None) -> dict[str, Any]:
        return {
            "allocations": {taking.provider: {"resources": _resources(taking.amounts)}},
            "project_id": taking.project_id,
            "user_id": self._options.deployment,
            "consumer_generation": turn,
            "consumer_type": TYPE,
        }

    def held(self, consumer: str) -> Holding | None:
        """See base."""
        found = self._placement.allocations(consumer)
        if not found["allocations"]:
            return None
        return Holding(
            takings={name: _amounts(e["resources"]) for name, e in found["allocations"].items()},
            turn=found["consumer_generation"],
            ours=(found["consumer_type"], found["user_id"]) == (TYPE, self._options.deployment),
        )

    def give_back(self, consumer: str) -> None:
        """See base."""
        for _ in range(TRIES):
            try:
                return self._placement.deallocate(consumer)
            except errors.Absent:
                return None
            except errors.Changed:
                pass
        raise errors.Unanswered(what="Placement", why=f"consumer {consumer} changes all the time")


def _resources(amounts: Amounts) -> dict[str, int]:
    found = {
        CPU: whole(amounts.cpu_m) // 1000,
        MEMORY: amounts.memory_mib,
        DISK: amounts.disk_gib,
    }
    return {name: amount for name, amount in found.items() if amount}


def _amounts(resources: Mapping[str, int]) -> Amounts:
    return Amounts(resources.get(CPU, 0) * 1000, resources.get(MEMORY, 0), resources.get(DISK, 0))


def _inventories(offer: Offer) -> dict[str, dict[str, Any]]:
    reserved = min(offer.reserved_mib, offer.memory_mib)
    found = {
        CPU: {"total": offer.cpus, "reserved": 0, "allocation_ratio": offer.cpu_ratio},
        MEMORY: {
            "total": offer.memory_mib,
            "reserved": reserved,
            "allocation_ratio": offer.memory_ratio,
        },
        DISK: {"total": offer.disk_gib, "reserved": 0, "allocation_ratio": 1.0},
    }
    return {name: each for name, each in found.items() if each["total"]}


def _same(known: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(
        name in known and math.isclose(known[name][field], value, rel_tol=1e-6)
        for name, each in wanted.items()
        for field, value in each.items()
    )


def _room(inventory: Mapping[str, Any] | None) -> int:
    if inventory is None:
        return 0
    there = inventory["total"] - inventory["reserved"]
    return int(there * inventory["allocation_ratio"])
