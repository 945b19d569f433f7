"""A binder in memory, with faults on demand: the kernel of tests and simulations.

It outlives the death of an agent, as interfaces do.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from dolium.drivers.binder import base
from dolium.model.network import Network, Port

P = ParamSpec("P")
R = TypeVar("R")


class FakeOptions(Struct, frozen=True, kw_only=True):
    """It has none."""


@dataclass(kw_only=True, slots=True)
class _Fault:
    method: str
    error: BaseException
    times: int
    after: bool


def _asked(method: Callable[Concatenate[Fake, P], R]) -> Callable[Concatenate[Fake, P], R]:
    """Count the call, let the hook and the planned faults have their say before and after."""
    name = method.__name__

    @functools.wraps(method)
    def call(fake: Fake, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with fake.lock:
            fake.calls[name] += 1
            fake._interfere(name, after=False)
            answer = method(fake, *args, **kwargs)
            fake._interfere(name, after=True)
            return answer

    return call


class Fake(base.Binder):
    """The binder in memory; `base.Binder` for agents, the rest for who plays fate."""

    name: ClassVar[str] = "fake"
    Options = FakeOptions

    def __init__(self, options: FakeOptions | None = None) -> None:
        self.options = options or FakeOptions()
        self.lock = threading.RLock()
        self.networks: dict[str, Network] = {}
        """Bridges by interface name."""
        self.ports: dict[str, Port] = {}
        """Pairs by the name of their host side."""
        self.loose: set[str] = set()
        """Host sides whose inner side came back from its container."""
        self.prepared = False
        self.calls: Counter[str] = Counter()
        self.hook: Callable[[str, str], None] | None = None
        """Called with (method, "before" or "after") at every boundary; may raise anything."""
        self._faults: list[_Fault] = []

    # --- playing fate ------------------------------------------------------------------------

    def fail(
        self, method: str, error: BaseException, times: int = 1, *, after: bool = False
    ) -> None:
        """Let the next `times` calls of `method` (`*`: any) raise `error`.

        after: the work is done first, so the caller can't know.
        """
        with self.lock:
            self._faults.append(_Fault(method=method, error=error, times=times, after=after))

    def heal(self) -> None:
        """Forget all planned faults."""
        with self.lock:
            self._faults.clear()

    def reboot(self) -> None:
        """The machine starts again: the kernel remembers nothing."""
        with self.lock:
            self.networks.clear()
            self.ports.clear()
            self.loose.clear()
            self.prepared = False

    def lose(self, port_uuid: str) -> None:
        """The container's namespace went without anybody telling us, and the pair with it."""
        with self.lock:
            self.ports.pop(self.port_name(port_uuid), None)

    def loosen(self, port_uuid: str) -> None:
        """The engine took the inner side out of the container and did not tell us."""
        with self.lock:
            self.loose.add(self.port_name(port_uuid))

    def _interfere(self, method: str, *, after: bool) -> None:
        if self.hook is not None:
            self.hook(method, "after" if after else "before")
        for fault in self._faults:
            if fault.method in (method, "*") and fault.after is after:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                raise fault.error

    # --- base.Binder -------------------------------------------------------------------------

    @_asked
    def prepare(self) -> None:
        """See base."""
        self.prepared = True

    def network_name(self, network_uuid: str) -> str:
        """See base."""
        return f"doln{network_uuid.replace('-', '')[:11]}"

    def port_name(self, port_uuid: str) -> str:
        """See base."""
        return f"dolp{port_uuid.replace('-', '')[:11]}"

    @_asked
    def wire(self, network: Network) -> None:
        """See base."""
        self.networks[self.network_name(network.uuid)] = network

    @_asked
    def unwire(self, network_uuid: str) -> None:
        """See base."""
        if self.networks.pop(self.network_name(network_uuid), None):
            for name, port in list(self.ports.items()):
                if port.network_uuid == network_uuid:
                    self._remove(name)

    @_asked
    def make(self, network: Network, port: Port) -> str:
        """See base."""
        name = self.port_name(port.uuid)
        self.networks.setdefault(self.network_name(network.uuid), network)
        self.loose.discard(name)
        self.ports[name] = port
        return f"dolc{name[4:]}"

    @_asked
    def unmake(self, port_uuid: str) -> None:
        """See base."""
        self._remove(self.port_name(port_uuid))

    @_asked
    def sweep(self, name: str) -> None:
        """See base."""
        network = self.networks.get(name)
        if network is None:
            self._remove(name)
        elif not any(port.network_uuid == network.uuid for port in self.ports.values()):
            del self.networks[name]

    def _remove(self, name: str) -> None:
        self.ports.pop(name, None)
        self.loose.discard(name)

    @_asked
    def bound(self) -> base.Bound:
        """See base."""
        return base.Bound(
            networks=frozenset(self.networks),
            ports=frozenset(self.ports),
            loose=frozenset(self.loose),
        )

    @_asked
    def release(self) -> None:
        """See base."""
        self.prepared = False
