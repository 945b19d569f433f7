"""The network plugin as Docker sees it: names of calls, bodies in, bodies out.

It answers from the ledger alone, so it is as quick when the cloud is away, and it never asks
Docker anything: Docker would wait for us while we wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.agent.plugin.ipam import Ipam
from dolium.agent.plugin.ledger import Ledger
from dolium.agent.plugin.local import Local
from dolium.agent.plugin.network import Networks
from dolium.agent.plugin.pairs import Pairs
from dolium.agent.plugin.words import AddressCall, NetworkCall, PoolCall
from dolium.model import reading

LOG = logging.getLogger(__name__)
C = TypeVar("C", bound=Struct)
Call = Callable[[bytes], dict[str, Any]]
NOTHING: dict[str, Any] = {}


class Plugin:
    """Answers calls of the network and IPAM protocols; `Server` brings them."""

    def __init__(self, ledger: Ledger, pairs: Pairs, command_line_project: str = "") -> None:
        local = Local(ledger, command_line_project)
        self.calls: dict[str, Call] = {
            "Plugin.Activate": lambda _: {"Implements": ["NetworkDriver", "IpamDriver"]},
            **_of_networks(Networks(ledger, pairs, local)),
            **_of_addresses(Ipam(ledger, local)),
        }

    def answer(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Status and body. Both keys for an error: Docker reads one here, the other there."""
        call = self.calls.get(method)
        if call is None:
            return 404, _failed(f"{method} is not implemented")
        try:
            return 200, msgspec.json.encode(call(body))
        except errors.Error as error:
            LOG.info("%s: %s", method, error)
            return 200, _failed(str(error))
        except Exception:
            LOG.exception("%s failed", method)
            return 200, _failed(f"{method} failed; the log of Dolium's agent says why")


def _failed(text: str) -> bytes:
    return msgspec.json.encode({"Err": text, "Error": text})


def _of_networks(networks: Networks) -> dict[str, Call]:
    accept = _ends(networks.accept, NetworkCall)
    return {
        "NetworkDriver.GetCapabilities": lambda _: networks.capabilities(),
        "NetworkDriver.GwAllocCheck": _takes(networks.check_gateway, NetworkCall),
        "NetworkDriver.CreateNetwork": _takes(networks.create, NetworkCall),
        "NetworkDriver.DeleteNetwork": _ends(networks.delete, NetworkCall),
        "NetworkDriver.CreateEndpoint": _takes(networks.create_endpoint, NetworkCall),
        "NetworkDriver.EndpointOperInfo": _takes(networks.describe, NetworkCall),
        "NetworkDriver.DeleteEndpoint": _ends(networks.delete_endpoint, NetworkCall),
        "NetworkDriver.Join": _takes(networks.join, NetworkCall),
        "NetworkDriver.Leave": _ends(networks.leave, NetworkCall),
        "NetworkDriver.ProgramExternalConnectivity": _takes(networks.expose, NetworkCall),
        "NetworkDriver.RevokeExternalConnectivity": accept,
        "NetworkDriver.DiscoverNew": lambda _: NOTHING,
        "NetworkDriver.DiscoverDelete": lambda _: NOTHING,
    }


def _of_addresses(ipam: Ipam) -> dict[str, Call]:
    return {
        "IpamDriver.GetCapabilities": lambda _: ipam.capabilities(),
        "IpamDriver.GetDefaultAddressSpaces": lambda _: ipam.spaces(),
        "IpamDriver.RequestPool": _takes(ipam.request_pool, PoolCall),
        "IpamDriver.ReleasePool": _ends(ipam.release_pool, PoolCall),
        "IpamDriver.RequestAddress": _takes(ipam.request_address, AddressCall),
        "IpamDriver.ReleaseAddress": _ends(ipam.release_address, AddressCall),
    }


def _takes(work: Callable[[C], dict[str, Any]], kind: type[C]) -> Call:
    def call(body: bytes) -> dict[str, Any]:
        if not body:
            # What Docker sends when it repeats a call (moby#35459): we can't know which.
            raise errors.Refused(why="The call came without its body, as a repeated one does")
        try:
            return work(reading.read(body, kind))
        except msgspec.DecodeError as error:
            raise errors.Refused(why=f"The call can't be read: {error}") from None

    return call


def _ends(work: Callable[[C], dict[str, Any]], kind: type[C]) -> Call:
    """A call that Docker makes once and whose error it ignores: the rest is ours to finish."""
    takes = _takes(work, kind)

    def call(body: bytes) -> dict[str, Any]:
        try:
            return takes(body)
        except errors.Error as error:
            LOG.warning("an end was accepted in spite of: %s", error)
            return NOTHING

    return call
