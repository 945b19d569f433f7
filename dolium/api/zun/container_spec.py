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
from dolium.api.fields import (
    Check,
    Wrong,
    array,
    choice,
    mapping,
    number,
    record,
    strict,
    strings,
    switch,
    text,
    whole,
)
from dolium.api.forms import Form
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

GUARDED = {
    "runtime": "container:create:runtime",
    "host": "container:create:requested_destination",
    "image_pull_policy": "container:create:image_pull_policy",
    "privileged": "container:create:privileged",
}
"""Fields that only some may set, with the rule that says who."""

PULL_POLICIES = ("never", "always", "ifnotpresent", "Never", "Always", "IfNotPresent")
"""In both spellings that clients use."""

_RESTARTS = ("no", "always", "on-failure", "unless-stopped")
_TIMES = ("interval", "retries", "timeout")
_IN_IMAGE = "[a-zA-Z0-9][a-zA-Z0-9_.-]"


def _image(value: str) -> str:
    if not re.search(_IN_IMAGE, value):
        raise Wrong(f"{value!r} does not match {_IN_IMAGE!r}")
    if reserved(value):
        raise Wrong(f"{value!r} can't be had by its name")
    return value


IMAGE = text(2, 255, null=False).then(_image, pattern=_IN_IMAGE)
"""A reference; whether it can be read is found out when it is pulled."""


def _line(value: str | None) -> list[str] | None:
    if value is None:
        return None
    try:
        return shlex.split(value)
    except ValueError as error:
        raise Wrong(f"{value!r} can't be split: {error}") from None


LINE = text().then(_line)
"""A command as one string, the way versions before 1.20 have it."""


def _environment(value: dict[str, Any] | None) -> dict[str, str] | None:
    for name, item in (value or {}).items():
        if not isinstance(item, str) or "\0" in item:
            raise Wrong(f"{item!r} is not of type 'string'", name, item)
        if not name or "=" in name or "\0" in name:
            raise Wrong(f"{name!r} is no name of a variable")
    return value


ENVIRONMENT = mapping.then(_environment, additionalProperties={"type": "string"})
"""Names and values as the process will see them."""


def _labels(value: dict[str, Any] | None) -> dict[str, str] | None:
    for name, item in (value or {}).items():
        if not isinstance(item, str | int | float):
            raise Wrong(f"{item!r} is not of type 'string'", name, item)
    return None if value is None else {name: str(item) for name, item in value.items()}


LABELS = mapping.then(_labels, additionalProperties={"type": ["string", "number", "boolean"]})
"""Labels; numbers and booleans become strings."""


def _restart_policy(value: dict[str, Any] | None) -> RestartPolicy | None:
    if value is None:
        return None
    name, retries = value["Name"], value.get("MaximumRetryCount") or 0
    return RestartPolicy(name=name, retries=str(0 if name == "no" else retries))


RESTART_POLICY = record(
    {"Name": choice(*_RESTARTS), "MaximumRetryCount": whole(0)}, ["Name"], null=True
).then(_restart_policy)
"""`{"Name": "on-failure", "MaximumRetryCount": "3"}`; the count may be a number."""


def _healthcheck(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if not value:
        return None
    if "cmd" not in value:
        raise Wrong("'cmd' is a required property")
    return {"test": value["cmd"]} | {name: value.get(name) or 0 for name in _TIMES}


HEALTHCHECK = record(
    {"cmd": text(1, null=False)} | dict.fromkeys(_TIMES, whole(0)), null=True
).then(_healthcheck)
"""`cmd` comes back as `test`; times are whole seconds, 0 is the engine's own."""


def _address(kind: type[IPv4Address | IPv6Address], form: str) -> Check:
    def check(value: str) -> str:
        try:
            kind(value)
        except ValueError:
            raise Wrong(f"{value!r} is not an address") from None
        return value

    return text(null=False).then(check, format=form)


def _net(value: dict[str, Any]) -> dict[str, Any]:
    if ("network" in value) == ("port" in value):
        raise Wrong("It needs either a 'network' or a 'port'")
    if "port" in value:
        raise Wrong("Ports can't be chosen yet, only a network.", "port", value["port"])
    return value


def _nets(value: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if value and len(value) > 1:
        raise Wrong("A container can be on one network only yet.")
    return value or []


_NET: dict[str, Check] = {
    **dict.fromkeys(("network", "port"), text(1, 255, null=False)),
    "v4-fixed-ip": _address(IPv4Address, "ipv4"),
    "v6-fixed-ip": _address(IPv6Address, "ipv6"),
}

NETS = array(record(_NET).then(_net)).then(_nets)
"""At most one network, by name or id, with addresses on it; ports can't be chosen yet."""


def _exposed_ports(value: dict[str, Any] | None) -> dict[str, Any] | None:
    for key, item in (value or {}).items():
        if item != {}:
            raise Wrong(f"{item!r} is not {{}}", key, item)
        port, slash, protocol = key.partition("/")
        if slash and protocol not in ("tcp", "udp"):
            raise errors.InvalidValue(why=f"value {protocol} is an invalid protocol")
        if not re.fullmatch("[0-9]{1,5}", port, re.ASCII) or not 0 < int(port) < 65536:
            raise errors.InvalidValue(why=f"value {port} is invalid as publish port.")
    return value


EXPOSED_PORTS = mapping.then(
    _exposed_ports,
    propertyNames={"pattern": "^[0-9]{1,5}(/(tcp|udp))?$"},
    additionalProperties={"const": {}},
)
"""`{"80/tcp": {}, "53/udp": {}, "80": {}}`. On the networks there are, without security groups,
every port is open to the others on it already; `ports` tells them."""


def _security_groups(value: list[str] | None) -> list[str] | None:
    for group in value or ():
        if group != "default":
            raise errors.InvalidValue(why=f"Security group {group} not found.")
    return value


SECURITY_GROUPS = strings.then(_security_groups)
"""Only `default`, which is what every container has anyway."""


def _hints(value: dict[str, Any] | None) -> dict[str, Any] | None:
    model_hints.read(value or {})
    return value


HINTS = mapping.then(_hints)
"""What is said about where it shall run (model/hints.py)."""


def change(limits: conf.Limits) -> Form:
    """What a container can be changed to."""
    return Form(
        checks={
            "name": NAME,
            "cpu": number(limits.minimum_cpus, limits.maximum_cpus),
            "memory": whole(limits.minimum_memory, limits.maximum_memory),
            "auto_heal": switch,
        }
    )


def creation(limits: conf.Limits) -> Form:
    """What a container can be created with."""
    checks: dict[str, Check] = {
        **change(limits).checks,
        "image": IMAGE,
        "command": strings,
        "entrypoint": strings,
        "cpu_policy": choice("shared", "dedicated"),
        "disk": whole(limits.minimum_disk, limits.maximum_disk),
        "workdir": text(),
        "auto_remove": strict,
        "image_pull_policy": choice(None, *PULL_POLICIES),
        "labels": LABELS,
        "environment": ENVIRONMENT,
        "restart_policy": RESTART_POLICY,
        "interactive": switch,
        "tty": switch,
        "image_driver": IMAGE_DRIVER,
        "security_groups": SECURITY_GROUPS,
        "hints": HINTS,
        "mounts": container_mounts.MOUNTS,
        "nets": NETS,
        "runtime": text(1, 255),
        "hostname": text(1, 63, r"[a-zA-Z0-9._-]*", null=False),
        "availability_zone": text(1, 255),
        "privileged": switch,
        "healthcheck": HEALTHCHECK,
        "exposed_ports": EXPOSED_PORTS,
        "registry": text(2, 255, r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", null=False),
        "host": text(1, 255, r"[a-zA-Z0-9._-]*", null=False),
    }
    older = {"host": (39, None), "entrypoint": (40, None), "command": (ARRAYS_SINCE, LINE)}
    return Form(checks=checks, required=("image",), since=SINCE, older=older)


def allowed(given: dict[str, Any], allow: Callable[[str], None]) -> None:
    """Raise Invalid for what excludes each other, and what `allow` raises for a rule."""
    if given.get("security_groups") and given.get("exposed_ports"):
        why = "It can't be given together with security_groups."
        raise errors.Invalid(field="exposed_ports", why=why)
    for field, rule in GUARDED.items():
        if given.get(field):
            allow(rule)


def changes(given: dict[str, Any]) -> dict[str, Any]:
    """What is given, as the wish has it."""
    memory = given.get("memory")
    return given if memory is None else given | {"memory": str(memory)}


def wish(given: dict[str, Any], version: int, limits: conf.Limits) -> Spec:
    """The wish of a creation, its registry as it is called there."""
    interactive = bool(given.get("interactive"))
    forced = ARRAYS_SINCE <= version <= 35 and given.get("interactive") is not None
    pull = given.get("image_pull_policy")
    spec = Spec(
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
        exposed_ports=given.get("exposed_ports") or None,
        mounts=container_mounts.files(given.get("mounts") or [], limits),
        nets=given.get("nets") or [],
        hints=given.get("hints") or {},
        availability_zone=given.get("availability_zone"),
        requested_host=given.get("host"),
        registry_id=given.get("registry"),
    )
    if spec.cpu_policy == "dedicated" and not spec.cpu.is_integer():
        raise errors.Invalid(field="cpu", why="Dedicated CPUs are whole ones.")
    if spec.registry_id and spec.image_driver != "docker":
        why = f"Images of {spec.image_driver} come from no registry."
        raise errors.Invalid(field="registry", why=why)
    return spec


def _driver(value: str | None) -> str:
    return "docker" if value in (None, "None") else value


def _sensible(policy: RestartPolicy | None) -> RestartPolicy | None:
    if policy and policy.name in ("always", "unless-stopped") and policy.retries != "0":
        raise errors.InvalidValue(
            why=f"maximum retry count not valid with restart policy of {policy.name}"
        )
    return policy
