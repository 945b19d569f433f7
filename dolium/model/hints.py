"""What users say in `hints` about where a container shall run (`zun run --hint key=value`).

    label:disk=ssd            the host bears this label
    group=web                 one of a group of the project, spread over failure domains
    anti_affinity=rack        never in a rack where one of the group is
    soft_anti_affinity=rack   only if nothing else is left
    affinity=zone             only in a zone where one of the group is
    soft_affinity=zone        there if there is room
    same_host=UUID,UUID       on a host where one of these containers is
    different_host=UUID,UUID  on a host where none of them is

Keys nobody knows are ignored, as the container API has it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.model.ident import is_uuid
from dolium.model.placing import LEVELS, Group, Level

LONGEST = 255
"""Characters of a group's name."""

RULES = ("affinity", "anti_affinity", "soft_affinity", "soft_anti_affinity")


class Hints(Struct, frozen=True, kw_only=True):
    """Hints, understood."""

    labels: dict[str, str] = {}
    group: str | None = None
    rules: dict[str, Level] = {}
    """One of RULES -> the level it speaks of."""
    same_host: frozenset[str] = frozenset()
    different_host: frozenset[str] = frozenset()

    def of(self, number: int) -> Group | None:
        """The group, which has this number in the database."""
        if self.group is None:
            return None
        return Group(id=number, name=self.group, **self.rules)


NOTHING = Hints()


def read(given: dict[str, Any]) -> Hints:
    """What hints mean; raises Invalid, naming the hint."""
    if not given:
        return NOTHING
    group = _group(given.get("group"))
    rules = {name: _level(name, given[name]) for name in RULES if given.get(name) is not None}
    if rules and group is None:
        _refuse(next(iter(rules)), "It needs a group: who is it about?")
    near, apart = rules.get("affinity"), rules.get("anti_affinity")
    if near is not None and apart is not None and apart <= near:
        _refuse(
            "anti_affinity",
            f"It must be of a lower level than affinity: in one {near} is in one {apart}",
        )
    labels = {
        name.removeprefix("label:"): str(value)
        for name, value in given.items()
        if name.startswith("label:")
    }
    return Hints(
        labels=labels,
        group=group,
        rules=rules,
        same_host=_containers("same_host", given.get("same_host")),
        different_host=_containers("different_host", given.get("different_host")),
    )


def _group(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        _refuse("group", f"It is a name of 1 to {LONGEST} characters")
    return str(value)


def _level(name: str, value: Any) -> Level:
    if not isinstance(value, str) or value not in LEVELS:
        _refuse(name, f"Value: {str(value)[:LONGEST]!r}. It is one of {', '.join(LEVELS)}")
    return LEVELS[value]


def _containers(name: str, value: Any) -> frozenset[str]:
    """Ids of containers: a list, or a string with commas."""
    if value is None:
        return frozenset()
    ids = value.split(",") if isinstance(value, str) else value
    if not isinstance(ids, list) or not ids:
        _refuse(name, "It is a list of ids of containers")
    for uuid in ids:
        if not isinstance(uuid, str) or not is_uuid(uuid):
            _refuse(name, f"Value: {str(uuid)[:LONGEST]!r}. It is the id of a container")
    return frozenset(ids)


def _refuse(field: str, why: str) -> None:
    raise errors.Invalid(field=field, why=why)
