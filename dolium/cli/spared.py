"""What libraries import and no process of Dolium uses, or hardly ever: 8 MiB of an all-in-one."""

from __future__ import annotations

from dolium.beside.later import defer

SPARED = (
    # cryptography, 7 MiB: it seals tokens for a memcached, where auth.py keeps none. What of
    # Dolium needs cryptography imports it where it does.
    "keystonemiddleware.auth_token._memcache_crypt",
    # 0.6 MiB: oslo.utils asks it for addresses of network interfaces, which nobody wants to know.
    "psutil",
    # 0.6 MiB: jaraco.functools, which Cheroot stands on, has it for an example.
    "more_itertools",
)


def spare() -> None:
    """Call it before any of the libraries is loaded."""
    defer(*SPARED)
