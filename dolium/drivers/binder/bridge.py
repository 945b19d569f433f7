"""The binder of Linux bridges: one bridge per network, one veth pair per port.

Every interface of ours is in one group of links, set in the same message that makes it, so that
nothing of ours is ever without its mark. The rules of the packet filter are in `rules.py`.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from dolium import errors
from dolium.drivers.binder import base, forwarding, rules
from dolium.drivers.binder.foreign import Foreign
from dolium.drivers.binder.netlink import (
    Link,
    Netlink,
    add_address,
    add_bridge,
    add_pair,
    allow_mac,
    describe,
    index,
    lock_port,
    remove,
    set_up,
)
from dolium.drivers.binder.programs import call
from dolium.model.network import Network, Port

NETWORK, PORT, INNER = "doln", "dolp", "dolc"
"""Names: one of these and the first 11 digits of the uuid."""


class BridgeOptions(Struct, frozen=True, kw_only=True):
    """What tells this installation's interfaces from those of another on the same machine."""

    deployment: str
    state: str = ""
    """File that remembers kernel settings as they were before; empty: they stay changed."""


class Bridge(base.Binder):
    """Plugs ports into Linux bridges, with NAT to the outside and isolation between networks."""

    name: ClassVar[str] = "bridge"
    Options = BridgeOptions

    def __init__(self, options: BridgeOptions) -> None:
        mark = hashlib.sha256(options.deployment.encode()).digest()
        self.group = int.from_bytes(mark[:4]) & 0x7FFFFFFF | 0x40000000
        """The group all interfaces of ours are in; never one a person would choose."""
        self.table = f"dolium_{mark.hex()[:8]}"
        self._settings = forwarding.Settings(Path(options.state) if options.state else None)
        self._foreign = Foreign(f"DOLIUM-{mark.hex()[:8]}", f"{NETWORK}+")
        self._lock = threading.Lock()
        self._loaded = ("", "")
        """The rules as we wrote them last, and as the kernel then showed them."""

    def prepare(self) -> None:
        """See base."""
        uplinks = {name for name in forwarding.uplinks() if not name.startswith(NETWORK)}
        with self._lock:
            self._settings.put(forwarding.wanted(uplinks))
            self._load(self._bridges(), check=True)
            self._foreign.admit(uplinks)

    def network_name(self, network_uuid: str) -> str:
        """See base."""
        return _name(NETWORK, network_uuid)

    def port_name(self, port_uuid: str) -> str:
        """See base."""
        return _name(PORT, port_uuid)

    def wire(self, network: Network) -> None:
        """See base."""
        name = self.network_name(network.uuid)
        for subnet in network.subnets:
            if subnet.version == 4 and (lost := forwarding.shadowed(subnet.cidr, name)):
                why = f"Network {subnet.cidr} would hide {lost}; set [network] pool_v4 differently"
                raise errors.Refused(why=why)
        with self._lock, _told(f"Network {network.uuid} can't be wired"), Netlink() as netlink:
            if index(name) is None:
                mac = b"\x02" + hashlib.sha256(network.uuid.encode()).digest()[:5]
                netlink.ask(add_bridge(name, mac=mac, mtu=network.mtu, group=self.group))
            elif name not in self._bridges():
                raise errors.Refused(why=f"Interface {name} is somebody else's")
            number = index(name) or 0
            _settle(name)
            gateways = [
                ip_interface(f"{subnet.gateway}/{ip_network(subnet.cidr).prefixlen}")
                for subnet in network.subnets
                if subnet.gateway and (subnet.version == 4 or forwarding.read(forwarding.V6))
            ]
            addresses = [add_address(number, gateway) for gateway in gateways]
            alias = f"dolium network {network.uuid}"
            netlink.ask(describe(number, alias), *addresses, set_up(number))
            self._load(self._bridges(), check=False)

    def unwire(self, network_uuid: str) -> None:
        """See base."""
        number = index(self.network_name(network_uuid))
        if number is None:
            return
        with _told(f"Network {network_uuid} can't be unwired"), Netlink() as netlink:
            ports = [link.index for link in self._links(netlink) if link.master == number]
            for each in (*ports, number):
                _drop(netlink, each)

    def make(self, network: Network, port: Port) -> str:
        """See base."""
        bridge = index(self.network_name(network.uuid))
        if bridge is None:
            self.wire(network)
            bridge = index(self.network_name(network.uuid)) or 0
        name, inner = self.port_name(port.uuid), _name(INNER, port.uuid)
        mac = bytes.fromhex(port.mac.replace(":", ""))
        with _told(f"Port {port.uuid} can't be plugged"), Netlink() as netlink:
            before = index(name)
            if before is not None:
                _drop(netlink, before)
            pair = add_pair(name, inner, master=bridge, mac=mac, mtu=network.mtu, group=self.group)
            netlink.ask(pair, lock_port(name))
            number = index(name) or 0
            netlink.ask(allow_mac(number, mac), describe(number, f"dolium port {port.uuid}"))
        return inner

    def unmake(self, port_uuid: str) -> None:
        """See base."""
        number = index(self.port_name(port_uuid))
        if number is not None:
            with _told(f"Port {port_uuid} can't be unplugged"), Netlink() as netlink:
                _drop(netlink, number)

    def sweep(self, name: str) -> None:
        """See base."""
        with _told(f"Interface {name} can't be removed"), Netlink() as netlink:
            links = self._links(netlink)
            for link in links:
                if link.name == name and not any(each.master == link.index for each in links):
                    _drop(netlink, link.index)

    def bound(self) -> base.Bound:
        """See base."""
        with _told("Interfaces can't be listed"), Netlink() as netlink:
            links = self._links(netlink)
        ports = [link for link in links if link.name.startswith(PORT)]
        return base.Bound(
            networks=frozenset(link.name for link in links if link.kind == "bridge"),
            ports=frozenset(link.name for link in ports),
            loose=frozenset(link.name for link in ports if not link.away),
        )

    def release(self) -> None:
        """See base."""
        with self._lock:
            call("nft", "-f", "-", text=rules.removal(self.table))
            self._loaded = ("", "")
            # That Docker found forwarding switched on and would not switch it on again.
            foreign = self._foreign.leave()
            self._settings.restore(but=(forwarding.V4, forwarding.V6) if foreign else ())

    def _links(self, netlink: Netlink) -> list[Link]:
        return [link for link in netlink.links() if link.group == self.group]

    def _bridges(self) -> list[str]:
        with _told("Interfaces can't be listed"), Netlink() as netlink:
            return sorted(link.name for link in self._links(netlink) if link.kind == "bridge")

    def _load(self, bridges: list[str], *, check: bool) -> None:
        """Write the rules unless they are what was written last; check: and still are there."""
        text = rules.table(self.table, self.group, bridges)
        if text == self._loaded[0] and (not check or self._shown() == self._loaded[1]):
            return
        call("nft", "-f", "-", text=text)
        self._loaded = (text, self._shown())

    def _shown(self) -> str:
        try:
            return call("nft", "list", "table", "inet", self.table)
        except errors.DriverError:
            return ""  # somebody flushed it


def _name(kind: str, uuid: str) -> str:
    return f"{kind}{uuid.replace('-', '')[:11]}"


def _drop(netlink: Netlink, number: int) -> None:
    try:
        netlink.ask(remove(number))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _settle(name: str) -> None:
    """The host takes no routes or addresses from what a container says on its bridge."""
    for setting, value in (("disable_ipv6", "0"), ("accept_ra", "0"), ("autoconf", "0")):
        path = f"net/ipv6/conf/{name}/{setting}"
        if forwarding.read(path) not in (None, value):
            forwarding.write(path, value)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The kernel's refusals in a driver's words."""
    try:
        yield
    except TimeoutError as error:
        raise errors.Unanswered(what="The kernel", why=str(error)) from error
    except OSError as error:
        raise errors.DriverError(why=f"{what}: {error.strerror}") from error
