"""Podman through its Docker-compatible socket (`podman system service`), version 4.3 and newer.

It has no network plugins of Docker's kind, so containers have no networks of ours.
Network `none` is what they get. It stamps logs to the second, and a terminal's line of more than
4 KiB anew at places that nobody can know: who follows it reads stamps within such a line.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import structs

from dolium import errors
from dolium.drivers.engine.base import Facts, Labels, Plug
from dolium.drivers.engine.docker import Docker
from dolium.drivers.engine.docker_answers import Info
from dolium.model.container import Spec
from dolium.model.network import Network


class Podman(Docker):
    """Podman's compatible API, for containers without network."""

    name: ClassVar[str] = "podman"
    can: ClassVar[frozenset[str]] = frozenset({"pause", "stats", "top", "archive", "events"})
    what: ClassVar[str] = "Podman"

    def facts(self) -> Facts:
        """See base. The compatible API of 4.3 ignores a wish for another runtime."""
        default = self._client.ask("GET", "/info", Info).default_runtime
        return structs.replace(super().facts(), runtimes=(default,))

    def incarnation(self) -> str:
        """See base. No container of Podman's goes down with its service."""
        return ""

    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="networks of ours")

    def connect(self, handle: str, plug: Plug) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="networks of ours")

    def disconnect(self, handle: str, network_uuid: str) -> None:
        """See base. It is on none."""

    def sandbox_image(self) -> str:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="capsules")

    def create(
        self,
        name: str,
        spec: Spec,
        plugs: tuple[Plug, ...],
        labels: Labels,
        sandbox: str | None = None,
    ) -> str:
        """See base. What would be ignored is refused."""
        if plugs:
            raise errors.NotOffered(driver=self.name, what="networks of ours")
        if sandbox:
            raise errors.NotOffered(driver=self.name, what="capsules")
        runtime = spec.runtime or self.options.tenant_runtime
        if runtime and runtime not in self.facts().runtimes:
            raise errors.NotOffered(driver=self.name, what=f"runtime {runtime}")
        return super().create(name, spec, plugs, labels)

    def stop(self, handle: str, timeout_s: int) -> None:
        """See base. Podman can't stop what is paused."""
        try:
            super().stop(handle, timeout_s)
        except errors.Refused:
            if not self.paused(handle):
                raise
            self.unpause(handle)
            super().stop(handle, timeout_s)

    def top(self, handle: str, ps_args: str | None = None) -> dict[str, list[object]]:
        """See base. Where Podman has to ask the container's own ps, it does not part columns."""
        found = super().top(handle, ps_args)
        if len(found["Titles"]) != 1:
            return found
        titles = str(found["Titles"][0]).split()
        rows = [str(row[0]) for row in found["Processes"] if isinstance(row, list) and row]
        return {
            "Titles": list(titles),
            "Processes": [row.split(maxsplit=len(titles) - 1) for row in rows],
        }

    def pin(self, handle: str, cpus: tuple[int, ...]) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="changing limits")

    def put_archive(self, handle: str, path: str, data: bytes) -> None:
        """See base. Podman would make a folder that is not there."""
        self._archives.check(handle, path)
        super().put_archive(handle, path, data)

    def update(self, handle: str, spec: Spec) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="changing limits")
