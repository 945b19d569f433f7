"""Parameters of lists: where a page begins, how long it is, in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from dolium import errors
from dolium.api import fields
from dolium.api.call import Call
from dolium.model import record


def read(
    call: Call, given: Mapping[str, str], sorts: Collection[str], filters: Collection[str] = ()
) -> record.Query:
    """The page that is asked for. Raises InvalidValue, InvalidParameter or InvalidQuery."""
    sort_key, sort_dir = order(given, sorts)
    every = given.get("all_projects", "False")
    return record.Query(
        limit=limit(call, given),
        marker=_text("marker", given.get("marker") or None),
        sort_key=sort_key,
        sort_dir=sort_dir,
        all_projects=fields.one("all_projects", every, fields.toggle, errors.InvalidQuery),
        filters={name: _text(name, given[name]) for name in filters if name in given},
    )


def limit(call: Call, given: Mapping[str, str]) -> int:
    """How many items at most. Raises InvalidValue."""
    most = call.service.config.api.max_limit
    if given.get("limit") in (None, "None"):
        return most
    try:
        return min(most, int(fields.whole(1, null=False)(given["limit"])))
    except fields.Wrong as wrong:
        raise errors.InvalidValue(why=f"Limit must be a positive integer: {wrong}") from None


def order(given: Mapping[str, str], sorts: Collection[str]) -> tuple[str, str]:
    """By what, and `asc` or `desc`. Raises InvalidParameter."""
    sort_key, sort_dir = given.get("sort_key") or "id", given.get("sort_dir") or "asc"
    if sort_key not in sorts:
        raise errors.InvalidParameter(why=f"The sort_key value '{sort_key}' is invalid.")
    if sort_dir not in ("asc", "desc"):
        raise errors.InvalidParameter(why=f"The sort_dir value '{sort_dir}' is invalid.")
    return sort_key, sort_dir


def _text(name: str, value: str | None) -> Any:
    return fields.one(name, value, fields.text(), errors.InvalidQuery)


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
