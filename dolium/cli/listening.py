"""Where the API listens, and that nothing listens in plain text where others could listen too."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dolium import conf, errors
from dolium.conf import is_loopback
from dolium.model.clock import Clock

if TYPE_CHECKING:
    import ssl


EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
"""Addresses by which nobody can be reached, though one may listen on them."""


class Tls:
    """TLS of a listening address, looked after from `start` to `stop`."""

    def __init__(
        self, context: Callable[[], ssl.SSLContext], refresh: Callable[[], object]
    ) -> None:
        """refresh: makes or reads a new certificate when it is time to."""
        from dolium.link.keeper import Keeper

        self.context = context
        self._keeper = Keeper("tls-keeper", [refresh])
        self.start, self.stop = self._keeper.start, self._keeper.stop


def api_tls(config: conf.Config, clock: Clock) -> Tls | None:
    """How the API is served: None on loopback without a certificate. Raises StartError."""
    return _tls(config, clock, "api", "The API", config.api, config.api.public_url)


def console_tls(config: conf.Config, clock: Clock) -> Tls | None:
    """How the websocket proxy is served, likewise."""
    own = config.wsproxy
    return _tls(config, clock, "wsproxy", "The websocket proxy", own, own.base_url)


def _tls(
    config: conf.Config,
    clock: Clock,
    name: str,
    what: str,
    group: conf.Api | conf.Wsproxy,
    public: str,
) -> Tls | None:
    if group.tls_cert or group.tls_key:
        from dolium.link.tls import Files

        if not (group.tls_cert and group.tls_key):
            raise errors.StartError(why=f"[{name}] tls_cert and tls_key belong together: give both")
        files = Files(Path(group.tls_cert), Path(group.tls_key), f"[{name}]")
        return Tls(files.server, files.refresh)
    if is_loopback(group.listen):
        return None
    if not config.ca_dir.exists():
        raise errors.StartError(
            why=f"{what} would listen on {group.listen} without TLS: set [{name}] tls_cert and "
            "tls_key, or let `dolium ca init` make a CA that certifies it"
        )
    from dolium.link.https_control import Own

    own = Own(config.ca_dir, config.host, clock)
    return Tls(own.web(web_names(config, group.listen, public)), own.refresh)


def metrics_tls(config: conf.Config) -> Tls | None:
    """How figures are served beside a role: None on loopback without a certificate. Raises
    StartError.
    """
    metrics = config.metrics
    if metrics.tls_cert and metrics.tls_key:
        from dolium.link.tls import Files

        files = Files(Path(metrics.tls_cert), Path(metrics.tls_key))
        return Tls(files.server, files.refresh)
    if metrics.tls_cert or metrics.tls_key:
        raise errors.StartError(why="[metrics] tls_cert and tls_key belong together: give both")
    if is_loopback(metrics.listen):
        return None
    raise errors.StartError(
        why=f"Figures would be served on {metrics.listen} without TLS: set [metrics] tls_cert and "
        "tls_key"
    )


def check_identity(config: conf.Config) -> None:
    """The Keystone beside `dolium up` speaks plain HTTP: others must not hear it."""
    listen = config.identity.listen
    if not is_loopback(listen):
        raise errors.StartError(
            why=f"[identity] listen {listen} is not loopback, and this Keystone has no TLS: "
            "put a TLS proxy in front of 127.0.0.1, or use the cloud's own Keystone"
        )


def web_names(config: conf.Config, listen: str, url: str) -> list[str]:
    """Names and addresses that clients may use for what listens there and is told as the URL."""
    names = [listen, socket.getfqdn(), config.host, "localhost", "127.0.0.1"]
    public = urlsplit(url).hostname
    wanted = [public, *names] if public else names
    return list(dict.fromkeys(name for name in wanted if name not in (*EVERYWHERE, "")))


def api_url(config: conf.Config) -> str:
    """Where clients find the API, without the version."""
    api = config.api
    return api.public or f"{'https' if _secure(api) else 'http'}://{_place(api)}"


def console_url(config: conf.Config) -> str:
    """Where clients find the websocket proxy."""
    proxy = config.wsproxy
    return proxy.public or f"{'wss' if _secure(proxy) else 'ws'}://{_place(proxy)}/"


def _secure(group: conf.Api | conf.Wsproxy) -> bool:
    return bool(group.tls_cert) or not is_loopback(group.listen)


def _place(group: conf.Api | conf.Wsproxy) -> str:
    address = f"[{group.listen}]" if ":" in group.listen else group.listen
    if group.listen in EVERYWHERE:
        address = socket.getfqdn()
    return f"{address}:{group.port}"
