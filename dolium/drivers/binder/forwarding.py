"""The host as a router: kernel settings that are changed, and given back as they were."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from dolium import errors
from dolium.model import reading

SYS = Path("/proc/sys")
# Routes as the calling thread's network namespace has them.
ROUTES = Path("/proc/thread-self/net")
V4, V6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
_GATEWAY = 0x2


class Settings:
    """Kernel settings of this host. What they were is on disk before they are changed."""

    def __init__(self, path: Path | None) -> None:
        """path: where the earlier values are kept until `restore`; None: nowhere."""
        self._path = path
        self._before: dict[str, str] = {}
        if path is not None and path.exists():
            self._before = reading.read(path.read_bytes(), dict[str, str])

    def put(self, wanted: dict[str, str]) -> None:
        """Change what differs. Raises DriverError when the kernel does not let us."""
        differing = {name: value for name, value in wanted.items() if read(name) != value}
        if not differing:
            return
        for name in differing:
            self._before.setdefault(name, read(name) or "")
        self._save()
        for name, value in differing.items():
            write(name, value)

    def restore(self, *, but: Collection[str] = ()) -> None:
        """Give back all except `but`; what is gone (an interface) is skipped."""
        for name, value in reversed(self._before.items()):
            if name not in but and read(name) is not None:
                write(name, value)
        self._before.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self._before))
        os.replace(draft, self._path)


def read(name: str) -> str | None:
    """One setting; None when the kernel has none of that name."""
    try:
        return (SYS / name).read_text().strip()
    except OSError:
        return None


def write(name: str, value: str) -> None:
    """Change one setting."""
    try:
        (SYS / name).write_text(value)
    except OSError as error:
        why = f"{name} can't be set to {value}: {error.strerror}"
        raise errors.DriverError(why=why) from None


def wanted(uplinks: Collection[str]) -> dict[str, str]:
    """What a host with containers needs, in the order to be set.

    A forwarding host ignores router advertisements unless an interface says 2: an uplink that
    listens to them is told so first, or it would lose its own addresses and routes.
    """
    settings = {}
    if read(V6) is not None:
        for uplink in sorted(uplinks):
            name = f"net/ipv6/conf/{uplink}/accept_ra"
            if read(name) == "1":
                settings[name] = "2"
        settings[V6] = "1"
    return settings | {V4: "1"}


def uplinks() -> set[str]:
    """Interfaces that lead to a gateway."""
    found = set()
    for line in _lines("route")[1:]:
        name, _, _, flags, *_ = line.split()
        if int(flags, 16) & _GATEWAY:
            found.add(name)
    for line in _lines("ipv6_route"):
        *_, flags, name = line.split()
        if int(flags, 16) & _GATEWAY:
            found.add(name)
    return found - {"lo"}


def shadowed(cidr: str, bridge: str) -> str | None:
    """What the host would no longer reach if the IPv4 network were on the bridge; None: nothing.

    A route that merely contains it stays usable for the rest; one inside it, or a gateway, does
    not.
    """
    ours = IPv4Network(cidr)
    for line in _lines("route")[1:]:
        name, destination, gateway, _, _, _, _, mask, *_ = line.split()
        there = IPv4Network((_address(destination), str(_address(mask))))
        inside = there.subnet_of(ours) or (gateway != "00000000" and _address(gateway) in ours)
        if name != bridge and inside:
            return f"{there} on {name}"
    return None


def _address(number: str) -> IPv4Address:
    """As /proc/net/route writes them: hexadecimal, in the order of this machine's bytes."""
    return IPv4Address(int(number, 16).to_bytes(4, sys.byteorder))


def _lines(name: str) -> list[str]:
    try:
        return (ROUTES / name).read_text().splitlines()
    except OSError:
        return []
