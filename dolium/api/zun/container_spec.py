"""The body of a creation: from what clients send to the wish.

The table here is the API's own; a field that is part of it but not built yet is refused by name,
never ignored.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from dolium import conf, errors
from dolium.api import versions
from dolium.api.fields import (
    Check,
    Wrong,
    choice,
    mapping,
    number,
    objects,
    read,
    strict,
    strings,
    switch,
    text,
    whole,
)
from dolium.api.zun import container_mounts
from dolium.model import hints as model_hints
from dolium.model.container import RestartPolicy, Spec
from dolium.model.image import reserved

NAME = text(2, 255, r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
IMAGE_DRIVER = choice("docker", "glance", None, "None")
ARRAYS_SINCE = 20
"""From this version on `command` is an array; before, a line for a shell to split."""

SINCE = {
    "auto_remove": 3,
    "runtime": 5,
    "hostname": 9,
    "mounts": 11,
    "privileged": 21,
    "healthcheck": 22,
    "exposed_ports": 24,
    "registry": 31,
}
"""Fields that older versions refuse by name."""

UNKNOWN_BEFORE = {"host": 39, "entrypoint": 40}
"""Fields that older versions do not know at all."""

GUARDED = {
    "runtime": "container:create:runtime",
    "host": "container:create:requested_destination",
    "image_pull_policy": "container:create:image_pull_policy",
    "privileged": "container:create:privileged",
}
"""Fields that only some may set, with the rule that says who."""

LATER = {
    "exposed_ports": "Security groups are not available yet, so no port can be opened by them; "
    "containers of one network reach all ports of each other.",
}
"""Fields that are accepted empty only."""

_RESTARTS = ("no", "always", "on-failure", "unless-stopped")


def image(value: Any) -> Any:
    """A reference; whether it can be read is found out when it is pulled."""
    checked = text(2, 255, null=False)(value)
    if not re.search("[a-zA-Z0-9][a-zA-Z0-9_.-]", checked):
        raise Wrong(f"{value!r} does not match '[a-zA-Z0-9][a-zA-Z0-9_.-]'")
    if reserved(checked):
        raise Wrong(f"{value!r} can't be had by its name")
    return checked


def line(value: Any) -> list[str] | None:
    """A command as one string, the way versions before 1.20 have it."""
    checked = text()(value)
    if checked is None:
        return None
    try:
        return shlex.split(checked)
    except ValueError as error:
        raise Wrong(f"{value!r} can't be split: {error}") from None


def environment(value: Any) -> dict[str, str] | None:
    """Names and values as the process will see them."""
    for name, item in (mapping(value) or {}).items():
        if not isinstance(item, str) or "\0" in item:
            raise Wrong(f"{item!r} is not of type 'string'", name, item)
        if not name or "=" in name or "\0" in name:
            raise Wrong(f"{name!r} is no name of a variable")
    return mapping(value)


def labels(value: Any) -> dict[str, str] | None:
    """Labels; numbers and booleans become strings."""
    given = mapping(value)
    for name, item in (given or {}).items():
        if not isinstance(item, str | int | float):
            raise Wrong(f"{item!r} is not of type 'string'", name, item)
    return None if given is None else {name: str(item) for name, item in given.items()}


def restart_policy(value: Any) -> RestartPolicy | None:
    """`{"Name": "on-failure", "MaximumRetryCount": "3"}`; the count may be a number."""
    given = mapping(value)
    if given is None:
        return None
    for name in given:
        if name not in ("Name", "MaximumRetryCount"):
            raise Wrong(f"Additional properties are not allowed ({name!r} was unexpected)")
    if "Name" not in given:
        raise Wrong("'Name' is a required property")
    name, count = given["Name"], given.get("MaximumRetryCount")
    if name not in _RESTARTS:
        raise Wrong(f"{name!r} is not one of {list(_RESTARTS)}", "Name", name)
    try:
        retries = whole(0)(count) or 0
    except Wrong as wrong:
        raise Wrong(str(wrong), "MaximumRetryCount", count) from None
    return RestartPolicy(name=name, retries=str(0 if name == "no" else retries))


def healthcheck(value: Any) -> dict[str, Any] | None:
    """`cmd` comes back as `test`; times are whole seconds, 0 is the engine's own."""
    given = mapping(value)
    if not given:
        return None
    checks = {"cmd": text(1, null=False)} | dict.fromkeys(
        ("interval", "retries", "timeout"), whole(0)
    )
    checked: dict[str, Any] = dict.fromkeys(("interval", "retries", "timeout"), 0)
    for name, item in given.items():
        if name not in checks:
            raise Wrong(f"Additional properties are not allowed ({name!r} was unexpected)")
        try:
            checked[name] = checks[name](item) or 0
        except Wrong as wrong:
            raise Wrong(str(wrong), name, item) from None
    if "cmd" not in checked:
        raise Wrong("'cmd' is a required property")
    return {"test": checked.pop("cmd")} | checked


def nets(value: Any) -> list[dict[str, Any]]:
    """At most one network, by name or id, with addresses on it; ports can't be chosen yet."""
    asked = objects(value)
    for index, net in enumerate(asked):
        try:
            _net(net)
        except Wrong as wrong:
            raise Wrong(str(wrong), wrong.field or str(index), wrong.value or net) from None
    if len(asked) > 1:
        raise Wrong("A container can be on one network only yet.")
    return asked


def _net(net: dict[str, Any]) -> None:
    for name in net:
        if name not in ("network", "port", "v4-fixed-ip", "v6-fixed-ip"):
            raise Wrong(f"Additional properties are not allowed ({name!r} was unexpected)")
    if ("network" in net) == ("port" in net):
        raise Wrong("It needs either a 'network' or a 'port'")
    if "port" in net:
        raise Wrong("Ports can't be chosen yet, only a network.", "port", net["port"])
    text(1, 255, null=False)(net["network"])
    for name, kind in (("v4-fixed-ip", IPv4Address), ("v6-fixed-ip", IPv6Address)):
        if name in net:
            try:
                kind(text(null=False)(net[name]))
            except ValueError:
                raise Wrong(f"{net[name]!r} is not an address", name, net[name]) from None


def exposed_ports(value: Any) -> dict[str, Any] | None:
    """`{"80/tcp": {}, "53/udp": {}, "80": {}}`."""
    for key in mapping(value) or ():
        port, slash, protocol = key.partition("/")
        if slash and protocol not in ("tcp", "udp"):
            raise errors.InvalidValue(why=f"value {protocol} is an invalid protocol")
        if not re.fullmatch("[0-9]{1,5}", port, re.ASCII) or not 0 < int(port) < 65536:
            raise errors.InvalidValue(why=f"value {port} is invalid as publish port.")
    return mapping(value)


def security_groups(value: Any) -> list[str] | None:
    """Only `default`, which is what every container has anyway."""
    for group in strings(value) or ():
        if group != "default":
            raise errors.InvalidValue(why=f"Security group {group} not found.")
    return strings(value)


def hints(value: Any) -> dict[str, Any] | None:
    """What is said about where it shall run (model/hints.py)."""
    given = mapping(value)
    model_hints.read(given or {})
    return given


class Body:
    """Reads bodies; made once with the limits."""

    def __init__(self, limits: conf.Limits) -> None:
        self._limits = limits
        cpu = number(limits.minimum_cpus, limits.maximum_cpus)
        memory = whole(limits.minimum_memory, limits.maximum_memory)
        pull = ("never", "always", "ifnotpresent")
        self._patch: dict[str, Check] = {
            "name": NAME,
            "cpu": cpu,
            "memory": memory,
            "auto_heal": switch,
        }
        self._create: dict[str, Check] = self._patch | {
            "image": image,
            "command": strings,
            "entrypoint": strings,
            "cpu_policy": choice("shared", "dedicated"),
            "disk": whole(limits.minimum_disk, limits.maximum_disk),
            "workdir": text(),
            "auto_remove": strict,
            "image_pull_policy": choice(None, *pull, "Never", "Always", "IfNotPresent"),
            "labels": labels,
            "environment": environment,
            "restart_policy": restart_policy,
            "interactive": switch,
            "tty": switch,
            "image_driver": IMAGE_DRIVER,
            "security_groups": security_groups,
            "hints": hints,
            "mounts": container_mounts.mounts,
            "nets": nets,
            "runtime": text(1, 255),
            "hostname": text(1, 63, r"[a-zA-Z0-9-._]*", null=False),
            "availability_zone": text(1, 255),
            "privileged": switch,
            "healthcheck": healthcheck,
            "exposed_ports": exposed_ports,
            "registry": text(2, 255, r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", null=False),
            "host": text(1, 255, r"[a-zA-Z0-9-._]*", null=False),
        }

    def patch(self, given: dict[str, Any]) -> dict[str, Any]:
        """What a container is changed to: name, cpu, memory, auto_heal."""
        checked = read(given, self._patch)
        if checked.get("memory") is not None:
            checked["memory"] = str(checked["memory"])
        return checked

    def create(
        self, sent: dict[str, Any], version: int, allow: Callable[[str], None]
    ) -> tuple[str | None, Spec]:
        """The name and the wish of a creation, its registry as it is called there; `allow` raises
        Forbidden for a policy rule.
        """
        given = read(sent, self._checks(version), required=["image"])
        _gate(given, version)
        if given.get("security_groups") and given.get("exposed_ports"):
            why = "It can't be given together with security_groups."
            raise errors.Invalid(field="exposed_ports", why=why)
        for field, why in LATER.items():
            if given.get(field):
                raise errors.Invalid(field=field, why=why)
        for field, rule in GUARDED.items():
            if given.get(field):
                allow(rule)
        spec = self._spec(given, version)
        if spec.cpu_policy == "dedicated" and not spec.cpu.is_integer():
            raise errors.Invalid(field="cpu", why="Dedicated CPUs are whole ones.")
        if spec.registry_id and spec.image_driver != "docker":
            why = f"Images of {spec.image_driver} come from no registry."
            raise errors.Invalid(field="registry", why=why)
        return given.get("name"), spec

    def _checks(self, version: int) -> dict[str, Check]:
        checks = dict(self._create)
        for field, since in UNKNOWN_BEFORE.items():
            if version < since:
                del checks[field]
        if version < ARRAYS_SINCE:
            checks["command"] = line
        return checks

    def _spec(self, given: dict[str, Any], version: int) -> Spec:
        limits = self._limits
        interactive = bool(given.get("interactive"))
        forced = ARRAYS_SINCE <= version <= 35 and given.get("interactive") is not None
        pull = given.get("image_pull_policy")
        return Spec(
            image=given["image"],
            cpu=given.get("cpu") or limits.default_cpu,
            cpu_policy=given.get("cpu_policy") or "shared",
            memory=str(given.get("memory") or limits.default_memory),
            command=given.get("command"),
            entrypoint=given.get("entrypoint"),
            environment=given.get("environment"),
            workdir=given.get("workdir"),
            hostname=given.get("hostname"),
            labels=given.get("labels"),
            auto_remove=bool(given.get("auto_remove")),
            auto_heal=bool(given.get("auto_heal")),
            restart_policy=_sensible(given.get("restart_policy")),
            interactive=interactive,
            tty=interactive if forced else bool(given.get("tty")),
            image_driver=_driver(given.get("image_driver")),
            image_pull_policy=pull.lower() if pull else None,
            runtime=given.get("runtime"),
            privileged=bool(given.get("privileged")),
            disk=given.get("disk") or 0,
            healthcheck=given.get("healthcheck"),
            security_groups=given.get("security_groups") or None,
            mounts=container_mounts.files(given.get("mounts") or [], limits),
            nets=given.get("nets") or [],
            hints=given.get("hints") or {},
            availability_zone=given.get("availability_zone"),
            requested_host=given.get("host"),
            registry_id=given.get("registry"),
        )


def _driver(value: str | None) -> str:
    return "docker" if value in (None, "None") else value


def _gate(given: dict[str, Any], version: int) -> None:
    for field, since in SINCE.items():
        if version < since and given.get(field) not in (None, [], {}):
            raise errors.TooNew(
                param=field, version=versions.named(version), since=versions.named(since)
            )


def _sensible(policy: RestartPolicy | None) -> RestartPolicy | None:
    if policy and policy.name in ("always", "unless-stopped") and policy.retries != "0":
        raise errors.InvalidValue(
            why=f"maximum retry count not valid with restart policy of {policy.name}"
        )
    return policy
