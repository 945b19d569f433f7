"""The template of a capsule: from what clients send to the wish.

Like the body of a container it is a table of what is known; what can't be had yet is refused by
name. `metadata` and `spec` may hold more, which means nothing, as in Zun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dolium import conf, errors
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
    text,
    whole,
)
from dolium.api.zun.container_spec import NAME, environment, image, labels
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


def _object(value: Any) -> dict[str, Any]:
    given = mapping(value)
    if given is None:
        raise Wrong("None is not of type 'object'")
    return given


def _some(value: Any) -> list[dict[str, Any]]:
    """Containers; each is checked with the limits of this cloud."""
    given = objects(value)
    if len(given) > MOST:
        raise Wrong(f"{MOST} containers are the most")
    return given


def _at_least_one(value: Any) -> list[dict[str, Any]]:
    given = _some(value)
    if not given:
        raise Wrong("A capsule needs at least one container")
    return given


def _volumes(value: Any) -> list[dict[str, Any]]:
    if objects(value):
        raise Wrong("Volumes are Cinder's, which this cloud does not offer.")
    return []


def _template(value: Any) -> dict[str, Any]:
    """An object, or the JSON of one."""
    if isinstance(value, str):
        try:
            value = reading.read(value, Any)
        except (ValueError, RecursionError) as error:
            raise Wrong(f"It is not valid JSON: {error}") from None
    return _object(value)


BODY: dict[str, Check] = {"template": _template}

TEMPLATE: dict[str, Check] = {
    "kind": choice("capsule", "Capsule"),
    "capsuleVersion": choice("beta", "Beta"),
    "restartPolicy": choice(*POLICIES),  # where Zun had it once, and ignores it
    "availabilityZone": text(1, 255),
    "metadata": _object,
    "spec": _object,
}
METADATA: dict[str, Check] = {"name": NAME, "labels": labels, "annotations": mapping}
SPEC: dict[str, Check] = {
    "containers": _at_least_one,
    "initContainers": _some,
    "volumes": _volumes,
    "restartPolicy": choice(*POLICIES),
}
CONTAINER: dict[str, Check] = {
    "name": NAME,
    "image": image,
    "command": strings,
    "args": strings,
    "resources": mapping,
    "ports": objects,
    "volumeMounts": objects,
    "env": environment,
    "workDir": text(),
    "imagePullPolicy": choice(
        *("never", "always", "ifnotpresent", "Never", "Always", "IfNotPresent")
    ),
    "stdin": strict,
    "tty": strict,
}


class Templates:
    """Reads templates; made once with the limits."""

    def __init__(self, limits: conf.Limits) -> None:
        self._limits = limits
        self._requests: dict[str, Check] = {
            "cpu": number(limits.minimum_cpus, limits.maximum_cpus),
            "memory": whole(limits.minimum_memory, limits.maximum_memory),
        }

    def read(self, sent: dict[str, Any], version: int, may: Callable[[str], bool]) -> Template:
        """What is wished; `may` tells of a policy rule whether the caller fulfils it."""
        template = read(sent, BODY, required=BODY)["template"]
        given = read(template, TEMPLATE, required=["kind", "spec", "metadata"])
        about = read(_known(given["metadata"], METADATA), METADATA)
        spec = read(_known(given["spec"], SPEC), SPEC, required=["containers"])
        inits = spec.get("initContainers", [])
        if len(inits) + len(spec["containers"]) > MOST:
            raise errors.Invalid(field="initContainers", why=f"{MOST} containers are the most.")
        policy = RestartPolicy(name=POLICIES[spec.get("restartPolicy", "Always")])
        once = RestartPolicy(name="on-failure", retries=INIT_RETRIES)
        first = once if policy.name == "always" else policy
        pulls = may("container:create:image_pull_policy")
        return Template(
            name=about.get("name"),
            labels=about.get("labels"),
            annotations=about.get("annotations"),
            restart_policy=policy,
            availability_zone=given.get("availabilityZone"),
            inits=[self._container(each, first, version, pulls) for each in inits],
            containers=[
                self._container(each, policy, version, pulls) for each in spec["containers"]
            ],
        )

    def _container(
        self, sent: dict[str, Any], policy: RestartPolicy, version: int, pulls: bool
    ) -> Spec:
        given = read(sent, CONTAINER, required=["image"])
        if [read(mount, _MOUNT, ["name", "mountPath"]) for mount in given.get("volumeMounts", [])]:
            why = "volume mount parameters is invalid: there is no such volume."
            raise errors.Invalid(field="volumeMounts", why=why)
        ports = [read(port, _PORT, ["containerPort"]) for port in given.get("ports", [])]
        resources = read(given.get("resources") or {}, {"requests": mapping})
        amounts = read(resources.get("requests") or {}, self._requests)
        command = [*(given.get("command") or ()), *(given.get("args") or ())]
        pull = given.get("imagePullPolicy")
        return Spec(
            image=given["image"],
            cpu=amounts.get("cpu") or self._limits.default_cpu,
            memory=str(amounts.get("memory") or self._limits.default_memory),
            command=command or None,
            environment=given.get("env"),
            workdir=given.get("workDir"),
            restart_policy=policy,
            interactive=bool(given.get("stdin")),
            tty=bool(given.get("tty")),
            image_pull_policy=pull.lower() if pull and pulls else None,
            exposed_ports=_exposed(ports) if version >= PORTS_SINCE else None,
        )


def _known(given: Mapping[str, Any], table: Mapping[str, Check]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in table}


def _exposed(ports: list[dict[str, Any]]) -> dict[str, Any] | None:
    """As containers have them. All ports are open to the capsule's network anyway."""
    named = (f"{port['containerPort']}/{port.get('protocol', 'TCP').lower()}" for port in ports)
    return {port: {} for port in named} or None
