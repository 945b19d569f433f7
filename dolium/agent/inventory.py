"""What a machine offers, out of what its engine says."""

from __future__ import annotations

from dolium.drivers.engine.base import Facts
from dolium.model.host import Inventory


def inventory(host: str, zone: str, facts: Facts) -> Inventory:
    """For the Hello."""
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
        zone=zone,
    )
