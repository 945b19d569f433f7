"""Parameters of lists: where a page begins, how long it is, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from dolium import errors
from dolium.api import fields
from dolium.api.call import Call
from dolium.api.fields import Check
from dolium.api.forms import Form
from dolium.model import record


def form(
    sorts: Iterable[str],
    filters: dict[str, Check] | None = None,
    others: type[errors.Error] | None = errors.UnknownParameter,
) -> Form:
    """What a list may be asked for: by what it may be sorted, and what its items may have to be.

    Raises InvalidValue (limit), InvalidParameter (order), InvalidQuery or `others`.
    """
    checks = {
        "limit": _LIMIT,
        "marker": fields.text(),
        "sort_key": _one_of("sort_key", sorted(sorts)),
        "sort_dir": _one_of("sort_dir", ["asc", "desc"]),
        "all_projects": fields.toggle,
    }
    return Form(checks=checks | (filters or {}), refusal=errors.InvalidQuery, others=others)


def query(call: Call, filters: Iterable[str] = ()) -> record.Query:
    """The page that is asked for."""
    asked, most = call.asked, call.service.config.api.max_limit
    return record.Query(
        limit=min(most, asked.get("limit") or most),
        marker=asked.get("marker") or None,
        sort_key=asked.get("sort_key") or "id",
        sort_dir=asked.get("sort_dir") or "asc",
        all_projects=asked.get("all_projects", False),
        filters={name: asked[name] for name in filters if name in asked},
    )


def _limit(value: Any) -> int | None:
    try:
        return _POSITIVE(value)  # type: ignore[no-any-return]
    except fields.Wrong as wrong:
        raise errors.InvalidValue(why=f"Limit must be a positive integer: {wrong}") from None


_POSITIVE = fields.whole(1)
_LIMIT = Check(_limit, _POSITIVE.schema)


def _one_of(name: str, values: list[str]) -> Check:
    def check(value: Any) -> Any:
        if value and value not in values:
            raise errors.InvalidParameter(why=f"The {name} value '{value}' is invalid.")
        return value

    return Check(check, {"enum": ["", *values]})


def following(call: Call, path: str, query: record.Query, uuids: list[str]) -> str | None:
    """The address of the next page; None when this one is not full. path: `/v1/registries`."""
    if len(uuids) < query.limit:
        return None
    carried: dict[str, Any] = {
        "sort_key": query.sort_key,
        "sort_dir": query.sort_dir,
        "limit": query.limit,
        "marker": uuids[-1],
    }
    if query.all_projects:
        carried["all_projects"] = True
    return f"{call.prefix}{path}?{urlencode(carried | query.filters)}"
