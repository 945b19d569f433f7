"""Checks of single values: what the container API accepts, and what it means.

One table of checks per body serves JSON, query strings and forms alike: clients send `5`, `"5"`
and `"True"` for the same things, which types alone can't say.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from dolium import errors

Check = Callable[[Any], Any]
"""Takes what was sent, returns what it means; raises Wrong."""

TRUE = frozenset(["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"])
FALSE = frozenset(["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"])

_LONGEST_SHOWN = 120


class Wrong(ValueError):
    """A value can't be accepted; `field` is told apart where it lies deeper than asked."""

    def __init__(self, why: str, field: str = "", value: Any = None) -> None:
        super().__init__(why)
        self.field = field
        self.value = value


def read(
    given: Mapping[str, Any],
    checks: Mapping[str, Check],
    required: Collection[str] = (),
    refusal: type[errors.Invalid] = errors.Invalid,
) -> dict[str, Any]:
    """All that was given, checked. Raises Unexpected, Missing or Invalid."""
    unknown = [name for name in given if name not in checks]
    if unknown:
        raise errors.Unexpected(fields=", ".join(map(repr, unknown)))
    for name in required:
        if given.get(name) is None:
            raise errors.Missing(field=name)
    return {name: one(name, value, checks[name], refusal) for name, value in given.items()}


def one(name: str, value: Any, check: Check, refusal: type[errors.Invalid] = errors.Invalid) -> Any:
    """One value, checked; raises the refusal, naming the field."""
    try:
        return check(value)
    except Wrong as wrong:
        field, sent = (wrong.field, wrong.value) if wrong.field else (name, value)
        raise refusal(field=field, why=f"Value: '{_short(sent)}'. {wrong}") from None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


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

    return check


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

    return check


def number(least: float, most: float, *, null: bool = True) -> Check:
    """A number or a decimal string."""

    def check(value: Any) -> Any:
        if null and value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise Wrong(f"{value!r} is not a number")
        if isinstance(value, str) and not re.fullmatch(
            r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", value, re.ASCII
        ):
            raise Wrong(f"{value!r} is not a number")
        return _bounded(float(value), least, most)

    return check


def _bounded(value: Any, least: float, most: float | None) -> Any:
    if value < least:
        raise Wrong(f"{value} is less than the minimum of {least}")
    if most is not None and value > most:
        raise Wrong(f"{value} is greater than the maximum of {most}")
    return value


def strict(value: Any) -> bool | None:
    """A JSON boolean or null, nothing else."""
    if value is None or isinstance(value, bool):
        return value
    raise Wrong(f"{value!r} is not of type 'boolean', 'null'")


def switch(value: Any) -> bool | None:
    """A boolean as JSON or as Python and JSON write it."""
    if value is None or isinstance(value, bool):
        return value
    if value in ("True", "true", "False", "false"):
        return bool(value in TRUE)
    raise Wrong(f"{value!r} is not one of [True, 'True', 'true', False, 'False', 'false']")


def toggle(value: Any) -> bool:
    """A boolean as any shell or query string may write it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (value in TRUE or value in FALSE):
        return value in TRUE
    raise Wrong(f"{value!r} is not one of {[True, *sorted(TRUE), False, *sorted(FALSE)]}")


def choice(*values: str | None) -> Check:
    """One of these."""

    def check(value: Any) -> Any:
        if value in values and not isinstance(value, bool):
            return value
        raise Wrong(f"{value!r} is not one of {list(values)}")

    return check


def strings(value: Any) -> list[str] | None:
    """An array of strings, or null."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise Wrong(f"{value!r} is not of type 'array', 'null'")
    for index, item in enumerate(value):
        if not isinstance(item, str) or "\0" in item:
            raise Wrong(f"{item!r} is not of type 'string'", str(index), item)
    return value


def mapping(value: Any) -> dict[str, Any] | None:
    """An object, or null."""
    if value is None or isinstance(value, dict):
        return value
    raise Wrong(f"{value!r} is not of type 'object', 'null'")


def objects(value: Any) -> list[dict[str, Any]]:
    """An array of objects; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Wrong(f"{value!r} is not of type 'array', 'null'")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise Wrong(f"{item!r} is not of type 'object'", str(index), item)
    return value


def decoded(field: str, data: str) -> bytes:
    """What a field holds in base 64, which may have line breaks; raises InvalidBase64."""
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidBase64(field=field) from None
