"""Users of capsules, and what must hold for what these make.

The functions are actions of the world (world.py, ACTIONS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolium.control.capsules import Template
from dolium.model import record
from dolium.model.capsule import Part
from dolium.model.container import RestartPolicy, Spec, State, engine_name

if TYPE_CHECKING:
    from dolium.store.containers import Observed
    from tests.simulation.control import Process
    from tests.simulation.machines import Machine
    from tests.simulation.world import World

ENDS = (["true"], ["true"], ["sleep", "7"], ["false"])
"""Commands of init containers: one that never ends would let nothing ever be calm."""
CONTAINERS = {Part.INIT.value, Part.CONTAINER.value}
"""Parts that claim nothing and have no port: their sandbox has."""


def capsule(world: World) -> None:
    """Somebody creates one."""
    rng, policy = world.rng, RestartPolicy(name=world.rng.choice(["no", "always", "on-failure"]))
    retries = RestartPolicy(name="on-failure", retries="2")
    first = policy if policy.name == "no" else retries  # who tries for ever lets it never be calm

    def spec(command: list[str], own: RestartPolicy) -> Spec:
        image = rng.choice(["app"] * 15 + ["nosuch"])
        return Spec(image=image, command=command, cpu=0.5, restart_policy=own)

    template = Template(
        name="p",
        labels=None,
        annotations=None,
        restart_policy=policy,
        availability_zone=None,
        inits=[spec(rng.choice(ENDS), first) for _ in range(rng.choice([0, 0, 1, 2]))],
        containers=[
            spec(rng.choice([["top"], ["top"], ["sleep", "7"]]), policy)
            for _ in range(rng.randint(1, 3))
        ],
    )

    def ask(process: Process) -> str:
        made = process.capsules.create(world.who(rng.choice(["p1", "p2"])), template)
        world.capsule_of |= {row.uuid: made.sandbox.uuid for row in made.parts}
        return f"{made.sandbox.uuid[:4]} {policy.name} of {[row.uuid[:4] for row in made.parts]}"

    world.policy = "always"  # of its sandbox; of the others no more is known here
    world.attempt("user creates a capsule", ask)


def uncapsule(world: World) -> None:
    """Somebody deletes one."""
    process = world.process()
    found = process.capsules.list(world.who(), record.Query(all_projects=True))
    if found:
        one = world.rng.choice(found)
        world.attempt(
            f"user deletes capsule {one.sandbox.uuid[:4]}",
            lambda process: process.capsules.delete(world.who(), one),
        )


def prepare(world: World) -> None:
    """A host makes a sandbox before anybody wants it, or removes one."""
    machine = world.machine()
    machine.do("prepare", lambda core: core.ready.step(core.deployment))


def clear(world: World) -> None:
    """All are deleted."""
    process = world.process()
    for one in process.capsules.list(world.who(), record.Query(all_projects=True)):
        process.capsules.delete(world.who(), one)


def together(machine: Machine, rows: list[Observed]) -> list[str]:
    """What is wrong in the calm with the containers of a host's capsules."""
    wrong, boxes = [], machine.engine.boxes
    generations = {row.uuid: row.created_generation for row in rows}
    for row in rows:
        box = boxes.get(engine_name(row.uuid, row.created_generation))
        if row.part not in CONTAINERS or box is None or box.state is not State.RUNNING:
            continue
        sandbox = row.capsule_id or ""
        shared = boxes.get(engine_name(sandbox, generations.get(sandbox, 0)))
        if shared is None or not shared.alive:
            wrong.append(f"{box.name} runs without its sandbox")
        elif len(shared.plugs) != 1:
            wrong.append(f"{shared.name} is on {len(shared.plugs)} networks")
        elif (box.sandbox, box.joined) != (shared.handle, shared.starts):
            wrong.append(f"{box.name} has the network of an earlier run of its sandbox")
    return wrong
