"""What users of the simulation ask for."""

from __future__ import annotations

import random

from dolium.control.attachments import Which
from dolium.control.containers import Containers
from dolium.model import record
from dolium.model.container import RestartPolicy, Spec, Verb
from dolium.model.context import Context
from tests.simulation.machines import GROUPS, ZONES

VERBS = (Verb.START, Verb.STOP, Verb.REBOOT, Verb.KILL, Verb.PAUSE, Verb.UNPAUSE)
REMAKES = (Verb.REBUILD, Verb.REBUILD, Verb.NETWORK_DETACH, Verb.NETWORK_ATTACH)


def wished(rng: random.Random, groups: float, heals: float) -> Spec:
    """A container; groups, heals: how probably it is in a group, and made anew elsewhere."""
    policy = rng.choice([None, None, None, "always", "on-failure", "unless-stopped"])
    alone = rng.random() < 0.1
    return Spec(
        image=rng.choice(["app"] * 9 + ["nosuch"]),
        command=rng.choice([["top"]] * 5 + [["sleep", "7"], ["false"], ["nosuch"]]),
        cpu=rng.choice([1.0, 2.0]) if alone else rng.choice([0.5, 1.0, 3.0]),
        cpu_policy="dedicated" if alone else "shared",
        hints=rng.choice(GROUPS) if rng.random() < groups else {},
        availability_zone=rng.choice([None, None, None, *ZONES[1:]]),
        restart_policy=RestartPolicy(name=policy, retries=rng.choice("03")) if policy else None,
        auto_heal=rng.random() < heals,
        auto_remove=policy is None and rng.random() < 0.1,
    )


def remake(containers: Containers, who: Context, row: record.Container, verb: Verb) -> None:
    """One of REMAKES of one container."""
    match verb:
        case Verb.NETWORK_ATTACH:
            containers.attach(who, row, Which(network="default"))
        case Verb.NETWORK_DETACH:
            containers.detach(who, row, Which(network="default"))
        case _:
            containers.rebuild(who, row)
