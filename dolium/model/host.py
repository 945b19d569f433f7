"""Hosts: machines with an agent, what they offer and what is taken of it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from dolium.model.placing import domains


class Inventory(Struct, frozen=True, kw_only=True):
    """What an agent finds on its machine; sent when it enrols and when it changes."""

    hostname: str
    cpus: int
    memory_mib: int
    disk_gib: int
    architecture: str = ""
    os_type: str = "linux"
    os: str = ""
    kernel_version: str = ""
    engine: str = ""
    """Engine and version, for people: `docker 20.10.24`."""
    runtimes: tuple[str, ...] = ()
    disk_quota: bool = False
    """True when the engine can limit a container's own disk."""
    labels: dict[str, str] = field(default_factory=dict)
    region: str = ""
    zone: str = "nova"
    rack: str = ""
    """Hosts that name none count as one rack of their zone."""
    hypervisor: str = ""
    """The physical machine under a host that is a server; empty: it is one itself."""
    compute_node: str = ""
    """The name by which Placement knows this machine as one of Nova's; empty: it is Dolium's."""
    enable_cpu_pinning: bool = False
    """Whether containers may have whole CPUs of it for themselves."""

    verbs: tuple[str, ...] = ()
    """What its agent can be asked for (model.container.Verb); empty: it is older than that."""
    capsules: bool = False
    """Whether containers can share a sandbox there; an older agent knows nothing of that."""

    @property
    def path(self) -> tuple[str, ...]:
        """The failure domain it is in at each model.placing.Level."""
        return domains(self.region, self.zone, self.rack, self.hypervisor, self.hostname)

    def known(self, name: str, hypervisor: str | None) -> Inventory:
        """As the control side knows it: by the host's name, and on the machine that was found
        where it names none.
        """
        return replace(self, hostname=name, hypervisor=self.hypervisor or hypervisor or "")


class Hello(Struct, frozen=True, kw_only=True):
    """An agent's first words after each of its starts."""

    host: str
    boot: str
    """Random id of this run of the agent; an older boot's words count for nothing."""
    inventory: Inventory
    address: str = ""
    """Where the agent answers questions; the link's own matter, empty inside one process."""
    port: int = 0
    lease_s: int = 0
    """After so many seconds without an answer the agent stops what may run elsewhere by then;
    0: it does not promise that."""


class Welcome(Struct, frozen=True, kw_only=True):
    """The answer to Hello."""

    deployment: str
    """Id of this installation; everything made in an engine bears it as a label."""
    epoch: int
    """Grows with each Hello of the host."""


class Standing(StrEnum):
    """The state of a host, for operators."""

    UP = "up"
    DISABLED = "disabled"
    """It lives and gets no new containers."""
    FORCED_DOWN = "forced_down"
    SILENT = "silent"
    HELD = "held"
    """Silent together with too many others: nothing of it is made anew unasked."""
    GONE = "gone"
    """It is proven that nothing runs there."""


def standing(
    *, proof: str | None, silent: bool, held: bool, forced_down: bool, disabled: bool
) -> Standing:
    """The worst that is so."""
    if proof:
        return Standing.GONE
    if silent:
        return Standing.HELD if held else Standing.SILENT
    if forced_down:
        return Standing.FORCED_DOWN
    return Standing.DISABLED if disabled else Standing.UP
