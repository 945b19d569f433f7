"""What a machine offers, out of what its engine says and where it is said to stand."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct, field

from dolium.drivers.engine.base import Facts
from dolium.model.container import Verb
from dolium.model.host import Inventory


class Place(Struct, frozen=True, kw_only=True):
    """Where a machine stands, and what else only an operator knows of it."""

    region: str = ""
    zone: str = "nova"
    rack: str = ""
    # A server's physical machine could be asked of Nova (`hostId`); what is configured goes first.
    hypervisor: str = ""
    compute_node: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    enable_cpu_pinning: bool = False


def inventory(host: str, place: Place, facts: Facts, can: Collection[str]) -> Inventory:
    """For the Hello; can: the engine's capabilities."""
    return Inventory(
        hostname=host,
        cpus=facts.cpus,
        memory_mib=facts.memory_mib,
        disk_gib=facts.disk_gib,
        architecture=facts.architecture,
        os=facts.os,
        kernel_version=facts.kernel_version,
        engine=f"{facts.name} {facts.version}",
        runtimes=facts.runtimes,
        disk_quota=facts.disk_quota,
        region=place.region,
        zone=place.zone,
        rack=place.rack,
        hypervisor=place.hypervisor,
        compute_node=place.compute_node,
        labels=place.labels,
        enable_cpu_pinning=place.enable_cpu_pinning and "pin" in can and bool(facts.cpu_ids),
        verbs=tuple(map(str, Verb)),
        capsules="sandbox" in can,
    )
