"""Whose web pages may open consoles. A browser says where a page came from, and can't be told
to say anything else; clients that are no browsers need not say it.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from dolium import errors

SECURE = {"ws": "http", "wss": "https"}
"""How pages are fetched that open a websocket of that kind."""


def check(
    origin: str | None, host: str, forwarded: str | None, base_url: str, allowed: Collection[str]
) -> None:
    """Raise BadOrigin unless the page may.

    Args:
        origin: the header of that name.
        host: the header Host: pages of the proxy's own host may.
        forwarded: X-Forwarded-Proto, what a proxy in front of this one was spoken to by.
        base_url: where clients find the proxy.
        allowed: host names of other pages that may.
    """
    if origin is None:
        return
    page, own = _split(origin), _split(f"//{host}")
    if page is None or not page.hostname:
        raise errors.BadOrigin(origin=origin[:100])
    names = {name.lower() for name in allowed} | ({own.hostname} if own else set())
    scheme = SECURE[urlsplit(base_url).scheme]
    if page.hostname not in names or (forwarded or page.scheme) != scheme:
        raise errors.BadOrigin(origin=origin[:100])


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
