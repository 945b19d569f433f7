"""The template of a capsule: from what clients send to the wish.

Like the body of a container it is a table of what is known; what can't be had yet is refused by
name. `metadata` and `spec` may hold more, which means nothing, as in Zun.
"""

from __future__ import annotations

from typing import Any

from dolium import conf
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
    text,
    whole,
)
from dolium.api.forms import Form
from dolium.api.zun.container_spec import ENVIRONMENT, IMAGE, LABELS, NAME, PULL_POLICIES
from dolium.control.capsules import Template
from dolium.model import reading
from dolium.model.container import RestartPolicy, Spec

PORTS_SINCE = 35
"""Before, ports of a capsule's containers meant nothing."""
MOST = 64
"""Containers of one capsule, init containers among them."""
INIT_RETRIES = "10"
"""How often an init container is tried where the others are always started again."""

POLICIES = {"Always": "always", "OnFailure": "on-failure", "Never": "no"}

_PORT: dict[str, Check] = {
    "containerPort": whole(0, 65535, null=False),
    "hostPort": whole(0, 65535),
    "name": text(),
    "protocol": choice("TCP", "UDP"),
}
_MOUNT: dict[str, Check] = {
    "name": text(2, 255, null=False),
    "mountPath": text(1, null=False),
    "readOnly": strict,
}


def _no_mounts(value: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if value:
        raise Wrong("volume mount parameters is invalid: there is no such volume.")
    return []


def _no_volumes(value: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if value:
        raise Wrong("Volumes are Cinder's, which this cloud does not offer.")
    return []


def _some(value: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if value and len(value) > MOST:
        raise Wrong(f"{MOST} containers are the most")
    return value or []


def _at_least_one(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not value:
        raise Wrong("A capsule needs at least one container")
    return value


def _together(value: dict[str, Any]) -> dict[str, Any]:
    if len(value["containers"]) + len(value.get("initContainers", [])) > MOST:
        raise Wrong(f"{MOST} containers are the most", "initContainers", "...")
    return value


def _container(limits: conf.Limits) -> Check:
    requests = {
        "cpu": number(limits.minimum_cpus, limits.maximum_cpus),
        "memory": whole(limits.minimum_memory, limits.maximum_memory),
    }
    return record(
        {
            "name": NAME,
            "image": IMAGE,
            "command": strings,
            "args": strings,
            "resources": record({"requests": record(requests, null=True)}, null=True),
            "ports": array(record(_PORT, ["containerPort"])),
            "volumeMounts": array(record(_MOUNT, ["name", "mountPath"])).then(_no_mounts),
            "env": ENVIRONMENT,
            "workDir": text(),
            "imagePullPolicy": choice(*PULL_POLICIES),
            "stdin": strict,
            "tty": strict,
        },
        ["image"],
    )


def _template(limits: conf.Limits) -> Check:
    some = array(_container(limits)).then(_some, maxItems=MOST)
    spec = {
        "containers": some.then(_at_least_one, type="array", minItems=1),
        "initContainers": some,
        "volumes": array(mapping).then(_no_volumes, maxItems=0),
        "restartPolicy": choice(*POLICIES),
    }
    about = {"name": NAME, "labels": LABELS, "annotations": mapping}
    return record(
        {
            "kind": choice("capsule", "Capsule"),
            "capsuleVersion": choice("beta", "Beta"),
            "restartPolicy": choice(*POLICIES),  # where Zun had it once, and ignores it
            "availabilityZone": text(1, 255),
            "metadata": record(about, more=True),
            "spec": record(spec, ["containers"], more=True).then(_together),
        },
        ["kind", "spec", "metadata"],
    )


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return reading.read(value, Any)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"It is not valid JSON: {error}") from None


def creation(limits: conf.Limits) -> Form:
    """A template: an object, or the JSON of one."""
    plain = _template(limits)
    schema = plain.schema | {"type": ["object", "string"]}
    either = Check(lambda value: plain(_read(value)), schema)
    return Form(checks={"template": either}, required=("template",))


def wish(
    given: dict[str, Any], version: int, limits: conf.Limits, *, may_choose_pull: bool
) -> Template:
    """What is wished. An imagePullPolicy is passed over unless the caller may choose it."""
    about, spec = given["metadata"], given["spec"]
    policy = RestartPolicy(name=POLICIES[spec.get("restartPolicy", "Always")])
    once = RestartPolicy(name="on-failure", retries=INIT_RETRIES)
    first = once if policy.name == "always" else policy

    def each(sent: dict[str, Any], restarts: RestartPolicy) -> Spec:
        pull = sent.get("imagePullPolicy") if may_choose_pull else None
        return _spec(sent, restarts, version, limits, pull)

    return Template(
        name=about.get("name"),
        labels=about.get("labels"),
        annotations=about.get("annotations"),
        restart_policy=policy,
        availability_zone=given.get("availabilityZone"),
        inits=[each(sent, first) for sent in spec.get("initContainers", [])],
        containers=[each(sent, policy) for sent in spec["containers"]],
    )


def _spec(
    given: dict[str, Any],
    policy: RestartPolicy,
    version: int,
    limits: conf.Limits,
    pull: str | None,
) -> Spec:
    amounts = (given.get("resources") or {}).get("requests") or {}
    command = [*(given.get("command") or ()), *(given.get("args") or ())]
    return Spec(
        image=given["image"],
        cpu=amounts.get("cpu") or limits.default_cpu,
        memory=str(amounts.get("memory") or limits.default_memory),
        command=command or None,
        environment=given.get("env"),
        workdir=given.get("workDir"),
        restart_policy=policy,
        interactive=bool(given.get("stdin")),
        tty=bool(given.get("tty")),
        image_pull_policy=pull.lower() if pull else None,
        exposed_ports=_exposed(given.get("ports") or []) if version >= PORTS_SINCE else None,
    )


def _exposed(ports: list[dict[str, Any]]) -> dict[str, Any] | None:
    """As containers have them. All ports are open to the capsule's network anyway."""
    named = (f"{port['containerPort']}/{port.get('protocol', 'TCP').lower()}" for port in ports)
    return {port: {} for port in named} or None
