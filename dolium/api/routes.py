"""Every route there is: the tables of all resources in one.

A path that names a container finds it first, so that nobody learns whether another project has
one; one that names a project asks the policy about that project. What is not here is a 404.
"""

from __future__ import annotations

from dolium.api.route import Route
from dolium.api.zun import (
    availability_zones,
    capsules,
    consoles,
    container_actions,
    container_archives,
    container_logs,
    container_networks,
    container_verbs,
    containers,
    description,
    events,
    hosts,
    images,
    networks,
    quota_classes,
    quotas,
    registries,
    root,
    services,
    watching,
)

ROUTES: tuple[Route, ...] = (
    *root.ROUTES,
    *watching.ROUTES,
    *description.ROUTES,
    *containers.ROUTES,
    *container_verbs.ROUTES,
    *container_logs.ROUTES,
    *consoles.ROUTES,
    *container_networks.ROUTES,
    *container_archives.ROUTES,
    *container_actions.ROUTES,
    *capsules.ROUTES,
    *hosts.ROUTES,
    *services.ROUTES,
    *events.ROUTES,
    *availability_zones.ROUTES,
    *images.ROUTES,
    *networks.ROUTES,
    *quotas.ROUTES,
    *quota_classes.ROUTES,
    *registries.ROUTES,
)

PUBLIC = frozenset(route.path for route in ROUTES if not route.rule)
"""Paths that need no token."""
