"""Whose pages may open consoles."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.wsproxy.origin import check

WS, WSS = "ws://proxy.example:6784/", "wss://proxy.example:6784/"
OTHERS = ["Horizon.example"]


@pytest.mark.parametrize(
    ("origin", "host", "forwarded", "base_url"),
    [
        (None, "proxy.example:6784", None, WS),  # no browser
        ("http://proxy.example:6784", "proxy.example:6784", None, WS),
        ("http://proxy.example", "Proxy.Example:6784", None, WS),
        ("https://proxy.example", "proxy.example", None, WSS),
        ("http://[2001:db8::1]:6784", "[2001:db8::1]:6784", None, WS),
        ("https://horizon.example", "proxy.example", None, WSS),
        ("http://proxy.example", "proxy.example", "https", WSS),
    ],
)
def test_who_may(origin: str | None, host: str, forwarded: str | None, base_url: str) -> None:
    check(origin, host, forwarded, base_url, OTHERS)


@pytest.mark.parametrize(
    ("origin", "host", "forwarded", "base_url"),
    [
        ("http://evil.example", "proxy.example:6784", None, WS),
        ("http://proxy.example.evil.example", "proxy.example", None, WS),
        ("http://evil.example/proxy.example", "proxy.example", None, WS),
        ("http://proxy.example@evil.example", "proxy.example", None, WS),
        ("http://proxy.example", "proxy.example", None, WSS),  # a page anybody can change
        ("https://proxy.example", "proxy.example", "http", WSS),
        ("null", "proxy.example", None, WS),
        ("", "proxy.example", None, WS),
        ("null", "", None, WS),
        ("file://", "", None, WS),
        ("http://[", "proxy.example", None, WS),
        ("http://proxy.example, http://evil.example", "proxy.example", None, WS),
        ("http://proxy.example", "[", None, WS),
    ],
)
def test_who_may_not(origin: str, host: str, forwarded: str | None, base_url: str) -> None:
    with pytest.raises(errors.BadOrigin):
        check(origin, host, forwarded, base_url, OTHERS)
