"""Forms: what a request may give, must give, and since when. Routes name them (api/routes.py).

A handler finds what was given already checked, in `call.asked` (query string) and `call.given`
(body, or parameters of an action); what can't be accepted never reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from dolium import errors
from dolium.api import fields, versions
from dolium.api.fields import Check

MOST_BODY = 1024 * 1024
"""Bytes of the largest body that is read, as a rule: what is wished is stored."""


class Form(Struct, frozen=True, kw_only=True):
    """What is accepted, field by field."""

    checks: Mapping[str, Check] = {}
    required: tuple[str, ...] = ()
    since: Mapping[str, int] = {}
    """First minor version in which a field may be asked for; before, it is refused by name."""
    empty: tuple[Any, ...] = (None, [], {})
    """Values of such a field that ask for nothing."""
    older: Mapping[str, tuple[int, Check | None]] = {}
    """Fields that are read in another way before a minor version; None: they are unknown then."""
    refusal: type[errors.Invalid] = errors.Invalid
    """How a wrong value is refused."""
    others: type[errors.Error] | None = errors.Unexpected
    """How fields that are not here are refused; None: they are passed over."""
    most: int = MOST_BODY
    """Bytes of a body."""

    def read(self, given: Mapping[str, Any], version: int = versions.HIGH) -> dict[str, Any]:
        """All that was given, checked. Raises Missing, TooNew, `refusal` or `others`."""
        checks = self.at(version)
        unknown = [name for name in given if name not in checks]
        if unknown and self.others:
            quoted = ", ".join(map(repr, unknown))
            raise self.others(fields=quoted, names=", ".join(sorted(unknown)))
        for name in self.required:
            if given.get(name) is None:
                raise errors.Missing(field=name)
        found = {
            name: fields.one(name, value, checks[name], self.refusal)
            for name, value in given.items()
            if name in checks
        }
        for name, since in self.since.items():
            if version < since and found.get(name) not in self.empty:
                raise errors.TooNew(
                    param=name, version=versions.named(version), since=versions.named(since)
                )
        return found

    def at(self, version: int) -> Mapping[str, Check]:
        """The checks of a minor version."""
        earlier = {name: check for name, (since, check) in self.older.items() if version < since}
        if not earlier:
            return self.checks
        merged = {**self.checks, **earlier}
        return {name: check for name, check in merged.items() if check is not None}


NOTHING = Form()
"""Of what takes no parameters."""
