"""Checks of single values: what the container API accepts, and what it means.

One table of checks per body serves JSON, query strings and forms alike: clients send `5`, `"5"`
and `"True"` for the same things, which types alone can't say. Each check tells what it accepts as
JSON Schema too, so the description of the API (api/openapi.py) is made of what is really checked.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct

from dolium import errors

Schema = dict[str, Any]
"""JSON Schema, draft 2020-12, as OpenAPI 3.1 has it."""


class Check(Struct, frozen=True):
    """Takes what was sent, returns what it means; raises Wrong."""

    read: Callable[[Any], Any]
    schema: Schema
    """Of what may be sent; what it can't say is found out by `read` all the same."""

    def __call__(self, value: Any) -> Any:
        """What the value means."""
        return self.read(value)

    def then(self, further: Callable[[Any], Any], **told: Any) -> Check:
        """The same with something done to what it returns; told: what the schema says more."""
        return Check(lambda value: further(self.read(value)), self.schema | told)


TRUE = frozenset(["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"])
FALSE = frozenset(["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"])

_LONGEST_SHOWN = 120


class Wrong(ValueError):
    """A value can't be accepted; `field` is told apart where it lies deeper than asked."""

    def __init__(self, why: str, field: str = "", value: Any = None) -> None:
        super().__init__(why)
        self.field = field
        self.value = value


def one(name: str, value: Any, check: Check, refusal: type[errors.Invalid] = errors.Invalid) -> Any:
    """One value, checked; raises the refusal, naming the field."""
    try:
        return _within(name, value, check)
    except Wrong as wrong:
        raise refusal(field=wrong.field, why=f"Value: '{_short(wrong.value)}'. {wrong}") from None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def named(name: str, check: Check, refusal: type[errors.Invalid]) -> Check:
    """The same check with a refusal of its own."""
    return Check(lambda value: one(name, value, check, refusal), check.schema)


def _types(kinds: str, null: bool) -> Schema:
    found = [*kinds.split(), "null"] if null else kinds.split()
    return {"type": found if len(found) > 1 else found[0]}


def text(least: int = 0, most: int | None = None, pattern: str = "", *, null: bool = True) -> Check:
    """A string of so many characters, all of it matching the pattern."""
    matches = re.compile(pattern).fullmatch if pattern else None

    def check(value: Any) -> Any:
        if value is None and null:
            return None
        if not isinstance(value, str):
            raise Wrong(f"{value!r} is not a string")
        if len(value) < least:
            raise Wrong(f"{value!r} is too short; {least} characters are the least")
        if most is not None and len(value) > most:
            raise Wrong(f"it is too long; {most} characters are the most")
        if matches and not matches(value):
            raise Wrong(f"{value!r} does not match {pattern!r}")
        if "\0" in value:
            raise Wrong("it contains a zero byte")
        return value

    bounds: Schema = {"minLength": least or None, "maxLength": most}
    bounds["pattern"] = f"^(?:{pattern})$" if pattern else None
    return Check(check, _types("string", null) | _given(bounds))


def whole(least: int, most: int | None = None, *, null: bool = True) -> Check:
    """An integer or its digits; the literal None is none."""

    def check(value: Any) -> Any:
        if null and value in (None, "None"):
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise Wrong(f"{value!r} is not an integer")
        if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            raise Wrong(f"{value!r} is not an integer")
        return _bounded(int(value), least, most)

    digits = "^(?:-?[0-9]{1,18}|None)$" if null else "^-?[0-9]{1,18}$"
    bounds = _given({"minimum": least, "maximum": most})
    return Check(check, _types("integer string", null) | bounds | {"pattern": digits})


def number(least: float, most: float, *, null: bool = True) -> Check:
    """A number or a decimal string."""
    decimal = r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}"

    def check(value: Any) -> Any:
        if null and value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise Wrong(f"{value!r} is not a number")
        if isinstance(value, str) and not re.fullmatch(decimal, value, re.ASCII):
            raise Wrong(f"{value!r} is not a number")
        return _bounded(float(value), least, most)

    bounds = {"minimum": least, "maximum": most, "pattern": f"^(?:{decimal})$"}
    return Check(check, _types("number string", null) | bounds)


def _given(bounds: Mapping[str, Any]) -> Schema:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _bounded(value: Any, least: float, most: float | None) -> Any:
    if value < least:
        raise Wrong(f"{value} is less than the minimum of {least}")
    if most is not None and value > most:
        raise Wrong(f"{value} is greater than the maximum of {most}")
    return value


def _strict(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise Wrong(f"{value!r} is not of type 'boolean', 'null'")


strict = Check(_strict, {"type": ["boolean", "null"]})
"""A JSON boolean or null, nothing else."""


def _switch(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in ("True", "true", "False", "false"):
        return bool(value in TRUE)
    raise Wrong(f"{value!r} is not one of [True, 'True', 'true', False, 'False', 'false']")


switch = Check(_switch, {"enum": [True, "True", "true", False, "False", "false", None]})
"""A boolean as JSON or as Python and JSON write it."""


def _toggle(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (value in TRUE or value in FALSE):
        return value in TRUE
    raise Wrong(f"{value!r} is not one of {[True, *sorted(TRUE), False, *sorted(FALSE)]}")


toggle = Check(_toggle, {"enum": [True, *sorted(TRUE), False, *sorted(FALSE)]})
"""A boolean as any shell or query string may write it."""


def choice(*values: str | None) -> Check:
    """One of these."""

    def check(value: Any) -> Any:
        if value in values and not isinstance(value, bool):
            return value
        raise Wrong(f"{value!r} is not one of {list(values)}")

    return Check(check, {"enum": list(values)})


def _mapping(value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise Wrong(f"{value!r} is not of type 'object', 'null'")


mapping = Check(_mapping, {"type": ["object", "null"]})
"""An object, or null."""

anything = Check(lambda value: value, {})
"""Whatever it is."""


def array(item: Check) -> Check:
    """An array of such items, or null."""

    def check(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise Wrong(f"{value!r} is not of type 'array', 'null'")
        return [_within(f"[{index}]", each, item) for index, each in enumerate(value)]

    return Check(check, {"type": ["array", "null"], "items": item.schema})


def record(
    checks: Mapping[str, Check],
    required: Collection[str] = (),
    *,
    null: bool = False,
    more: bool = False,
) -> Check:
    """An object of these fields, all of them checked, and no others; more: others mean nothing."""

    def check(value: Any) -> Any:
        if value is None and null:
            return None
        if not isinstance(value, dict):
            raise Wrong(f"{value!r} is not of type 'object'")
        for name in value:
            if name not in checks and not more:
                raise Wrong(f"Additional properties are not allowed ({name!r} was unexpected)")
        for name in required:
            if name not in value:
                raise Wrong(f"{name!r} is a required property")
        known = {name: item for name, item in value.items() if name in checks}
        return {name: _within(name, item, checks[name]) for name, item in known.items()}

    return Check(check, _types("object", null) | properties(checks, required, more=more))


def properties(
    checks: Mapping[str, Check], required: Collection[str] = (), *, more: bool = False
) -> Schema:
    """What a schema of an object says of its fields."""
    told: Schema = {"properties": {name: check.schema for name, check in checks.items()}}
    if required:
        told["required"] = list(required)
    return told if more else told | {"additionalProperties": False}


def _within(name: str, value: Any, check: Check) -> Any:
    """A part of something, checked; what is wrong bears the name of the deepest part.

    A number in brackets, of something in an array, is no name by itself.
    """
    try:
        return check(value)
    except Wrong as wrong:
        if not wrong.field:
            raise Wrong(str(wrong), name, value) from None
        if wrong.field.startswith("["):
            raise Wrong(str(wrong), f"{name}{wrong.field}", wrong.value) from None
        raise


def _line(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Wrong(f"{value!r} is not of type 'string'")
    return value


strings = array(Check(_line, {"type": "string"}))
"""An array of strings, or null."""


def decoded(field: str, data: str) -> bytes:
    """What a field holds in base 64, which may have line breaks; raises InvalidBase64."""
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidBase64(field=field) from None
