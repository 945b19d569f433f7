"""Every route: the one table of what is served, by whom it may be used, in which versions.

A path that names a container finds it first, so that nobody learns whether another project has
one; one that names a project asks the policy about that project. What is not here is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dolium.api import versions
from dolium.api.call import Answer, Call
from dolium.api.zun import (
    availability_zones,
    capsules,
    consoles,
    container_actions,
    container_archives,
    container_networks,
    container_verbs,
    containers,
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


class Route(NamedTuple):
    """One row of the table."""

    verb: str
    path: str
    answer: Callable[[Call], Answer]
    rule: str = ""
    """The policy rule; empty: for everybody, without a token."""
    since: int = versions.LOW
    until: int = versions.HIGH
    """First and last minor version that have it."""


_ALL = "/v1/containers"
_ONE = "/v1/containers/{container}"
_CAPSULES = "/v1/capsules"
_CAPSULE = "/v1/capsules/{capsule}"
_SERVICES = "/v1/services"
_IMAGE = "/v1/images/{image}"
_REGISTRIES = "/v1/registries"
_REGISTRY = "/v1/registries/{registry}"
_QUOTA = "/v1/quotas/{project}"
_QUOTA_CLASS = "/v1/quota_classes/{quota_class}"

ROUTES = (
    Route("GET", "/", root.root),
    Route("GET", "/v1", root.v1),
    Route("GET", "/healthcheck", watching.healthcheck),
    Route("GET", "/metrics", watching.metrics),
    Route("POST", _ALL, containers.create, "container:create"),
    Route("GET", _ALL, containers.list_, "container:get_all"),
    Route("GET", _ONE, containers.show, "container:get_one"),
    Route("PATCH", _ONE, containers.update, "container:update"),
    Route("DELETE", _ONE, containers.delete, "container:delete"),
    Route("POST", f"{_ONE}/start", container_verbs.start, "container:start"),
    Route("POST", f"{_ONE}/stop", container_verbs.stop, "container:stop"),
    Route("POST", f"{_ONE}/reboot", container_verbs.reboot, "container:reboot"),
    Route("POST", f"{_ONE}/rebuild", container_verbs.rebuild, "container:rebuild"),
    Route("POST", f"{_ONE}/pause", container_verbs.pause, "container:pause"),
    Route("POST", f"{_ONE}/unpause", container_verbs.unpause, "container:unpause"),
    Route("POST", f"{_ONE}/kill", container_verbs.kill, "container:kill"),
    Route("POST", f"{_ONE}/rename", container_verbs.rename, "container:rename", until=13),
    Route(
        "POST",
        f"{_ONE}/resize_container",
        container_verbs.resize_container,
        "container:resize_container",
        since=19,
    ),
    Route("POST", f"{_ONE}/commit", container_verbs.commit, "container:commit"),
    Route("GET", f"{_ONE}/logs", container_verbs.logs, "container:logs"),
    Route("POST", f"{_ONE}/execute", container_verbs.execute, "container:execute"),
    Route("POST", f"{_ONE}/execute_resize", consoles.execute_resize, "container:execute_resize"),
    Route("GET", f"{_ONE}/attach", consoles.attach, "container:attach"),
    Route("POST", f"{_ONE}/resize", consoles.resize, "container:resize"),
    Route("GET", f"{_ONE}/top", container_verbs.top, "container:top"),
    Route("GET", f"{_ONE}/stats", container_verbs.stats, "container:stats"),
    Route(
        "GET",
        f"{_ONE}/network_list",
        container_networks.network_list,
        "container:network_list",
        since=13,
    ),
    Route(
        "POST",
        f"{_ONE}/network_detach",
        container_networks.network_detach,
        "container:network_detach",
        since=6,
    ),
    Route(
        "POST",
        f"{_ONE}/network_attach",
        container_networks.network_attach,
        "container:network_attach",
        since=8,
    ),
    Route(
        "POST",
        f"{_ONE}/add_security_group",
        container_networks.add_security_group,
        "container:add_security_group",
        until=14,
    ),
    Route(
        "POST",
        f"{_ONE}/remove_security_group",
        container_networks.remove_security_group,
        "container:remove_security_group",
        until=14,
    ),
    Route("GET", f"{_ONE}/get_archive", container_archives.get_archive, "container:get_archive"),
    Route("POST", f"{_ONE}/put_archive", container_archives.put_archive, "container:put_archive"),
    Route("GET", f"{_ONE}/container_actions", container_actions.list_, "container:actions"),
    Route(
        "GET",
        f"{_ONE}/container_actions/{{request_id}}",
        container_actions.show,
        "container:actions",
    ),
    Route("POST", _CAPSULES, capsules.create, "capsule:create"),
    Route("GET", _CAPSULES, capsules.list_, "capsule:get_all"),
    Route("GET", _CAPSULE, capsules.show, "capsule:get"),
    Route("DELETE", _CAPSULE, capsules.delete, "capsule:delete"),
    Route("GET", "/v1/hosts", hosts.list_, "host:get_all", since=4),
    Route("GET", "/v1/hosts/{host}", hosts.show, "host:get", since=4),
    Route("GET", _SERVICES, services.list_, "zun-service:get_all"),
    Route("DELETE", _SERVICES, services.delete, "zun-service:delete"),
    Route("PUT", f"{_SERVICES}/enable", services.enable, "zun-service:enable"),
    Route("PUT", f"{_SERVICES}/disable", services.disable, "zun-service:disable"),
    Route("PUT", f"{_SERVICES}/force_down", services.force_down, "zun-service:force_down"),
    Route("GET", "/v1/events", events.watch, "event:watch"),
    Route("GET", "/v1/availability_zones", availability_zones.list_, "availability_zones:get_all"),
    Route("POST", "/v1/images", images.pull, "image:pull"),
    Route("GET", "/v1/images", images.list_, "image:get_all"),
    Route("GET", _IMAGE, images.show, "image:get_one"),
    Route("DELETE", _IMAGE, images.delete, "image:delete"),
    Route("GET", f"{_IMAGE}/search", images.search, "image:search"),
    Route("POST", "/v1/networks", networks.create, "network:create"),
    Route("DELETE", "/v1/networks/{network}", networks.delete, "network:delete", since=27),
    Route("GET", _QUOTA, quotas.show, "quota:get"),
    Route("PUT", _QUOTA, quotas.update, "quota:update"),
    Route("DELETE", _QUOTA, quotas.delete, "quota:delete"),
    Route("GET", f"{_QUOTA}/defaults", quotas.defaults, "quota:get_default"),
    Route("GET", _QUOTA_CLASS, quota_classes.show, "quota_class:get"),
    Route("PUT", _QUOTA_CLASS, quota_classes.update, "quota_class:update"),
    Route("POST", _REGISTRIES, registries.create, "registry:create"),
    Route("GET", _REGISTRIES, registries.list_, "registry:get_all"),
    Route("GET", _REGISTRY, registries.show, "registry:get_one"),
    Route("PATCH", _REGISTRY, registries.update, "registry:update"),
    Route("DELETE", _REGISTRY, registries.delete, "registry:delete"),
)

PUBLIC = frozenset(route.path for route in ROUTES if not route.rule)
"""Paths that need no token."""
