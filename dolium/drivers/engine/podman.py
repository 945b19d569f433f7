"""Podman through its Docker-compatible socket (`podman system service`), version 4.3 and newer.

It has no network plugins of Docker's kind, so containers have no networks of ours.
"""

from __future__ import annotations

from typing import ClassVar

from dolium import errors
from dolium.drivers.engine.base import Labels, Plug
from dolium.drivers.engine.docker import Docker
from dolium.model.container import Spec
from dolium.model.network import Network


class Podman(Docker):
    """Podman's compatible API, for containers without network."""

    name: ClassVar[str] = "podman"
    can: ClassVar[frozenset[str]] = frozenset({"pause", "stats", "top", "events"})
    what: ClassVar[str] = "Podman"

    def wire(self, network: Network, plugin: str, deployment: str) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="networks of ours")

    def create(self, name: str, spec: Spec, plugs: tuple[Plug, ...], labels: Labels) -> str:
        """See base."""
        if plugs:
            raise errors.NotOffered(driver=self.name, what="networks of ours")
        return super().create(name, spec, plugs, labels)

    def update(self, handle: str, spec: Spec) -> None:
        """See base."""
        raise errors.NotOffered(driver=self.name, what="changing limits")
