"""What a host does in which order for the containers of a capsule.

The sandbox is made first and removed last. The others are made while it starts, start when it
runs, and are made anew when it has been started anew: what they shared with it is gone then. Who
has to wait ends its pass; whoever it waited for puts it on the agenda.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, structs

from dolium import errors
from dolium.model.capsule import Part
from dolium.model.container import Seen, State, engine_name
from dolium.model.wish import Wish

if TYPE_CHECKING:
    from dolium.agent.passes import Pass, Tools


class Waiting(errors.Unanswered):
    """Another container of the capsule has to do something first, and wakes this one then."""

    code, text = errors.Unanswered.code, "waits for {what}: {why}"


def is_sandbox(wish: Wish) -> bool:
    """Whether it is what the others of a capsule share."""
    return wish.belongs is not None and wish.belongs.part is Part.SANDBOX


def shares(wish: Wish) -> bool:
    """Whether it is one of the others."""
    return wish.belongs is not None and wish.belongs.part is not Part.SANDBOX


def name(tools: Tools, wish: Wish) -> str | None:
    """The engine's name of the sandbox that it shares, or is; None: it belongs to no capsule."""
    if wish.belongs is None:
        return None
    sandbox = wish if is_sandbox(wish) else _wish(tools, wish)
    return engine_name(sandbox.uuid, sandbox.created_generation)


def _wish(tools: Tools, wish: Wish) -> Wish:
    assert wish.belongs is not None
    sandbox = tools.notes.wish(wish.belongs.capsule)
    if sandbox is None:
        raise _waits("its sandbox", "nothing is known of it yet")
    return sandbox


def _waits(what: str, why: str) -> Waiting:
    return Waiting(what=what, why=why)


def made(tools: Tools, wish: Wish) -> str:
    """The engine's id of the sandbox that it shares, before it is made itself. Raises Waiting, or
    Refused if there will be none.

    Notes tell, because an engine that starts a container does not answer about it before it has.
    """
    sandbox = _wish(tools, wish)
    life = tools.notes.life(sandbox.uuid)
    if life is not None and life.handle:
        return life.handle
    if life is not None and life.done >= sandbox.created_generation and not life.exists:
        raise errors.Refused(why="The sandbox of its capsule could not be made")
    raise _waits("its sandbox", "it is not made yet")


def running(tools: Tools, wish: Wish) -> Seen:
    """The same as it is now, before the start of one that shares it."""
    made(tools, wish)
    sandbox = _wish(tools, wish)
    life = tools.notes.life(sandbox.uuid)
    if life is None or life.launch is not None or life.making is not None:
        raise _waits("its sandbox", "it is about to start")
    seen = tools.engine.look(engine_name(sandbox.uuid, sandbox.created_generation))
    if seen is None or seen.state is not State.RUNNING:
        raise _waits("its sandbox", "it does not run")
    return seen


def exposing(wish: Wish, seen: Seen) -> Seen:
    """With the ports that were named: no engine keeps them for who has no network of its own."""
    if not shares(wish) or not wish.spec.exposed_ports or seen.look is UNSET:
        return seen
    own = {int(port.partition("/")[0]) for port in wish.spec.exposed_ports}
    ports = sorted({*(seen.look.ports or ()), *own})
    return structs.replace(seen, look=structs.replace(seen.look, ports=ports))


def run(seen: Seen) -> str:
    """Which run of a sandbox this is: another one has another network."""
    return f"{seen.handle}/{seen.started_at}"


def inits_ended(p: Pass) -> None:
    """Before the first start: raise Waiting until all init containers before it have ended well,
    Refused once one never will.
    """
    for uuid in p.wish.belongs.after if p.wish.belongs else ():
        wish, life = p.tools.notes.wish(uuid), p.tools.notes.life(uuid)
        if wish is None or life is None or life.done < wish.created_generation:
            raise _waits("an init container", "it is not started yet")
        if life.running or life.next_at is not None or life.rested or life.launch:
            raise _waits(f"init container {wish.name}", "it runs")
        seen = p.tools.engine.look(engine_name(uuid, wish.created_generation))
        if seen is None or seen.exit_code != 0:
            ended = "could not be run" if seen is None else f"ended with {seen.exit_code}"
            raise errors.Refused(why=f"Init container {wish.name} {ended}")


def others_gone(p: Pass) -> None:
    """Before a sandbox is removed: raise Waiting while there is another of its capsule."""
    for uuid in p.wish.belongs.parts if p.wish.belongs else ():
        wish, life = p.tools.notes.wish(uuid), p.tools.notes.life(uuid)
        if wish is not None and (life is None or not life.gone):
            raise _waits("its capsule's containers", f"{wish.name} is not gone yet")


def wake(tools: Tools, wish: Wish) -> None:
    """Something has happened that others of its capsule may wait for."""
    if wish.belongs is None:
        return
    sandbox = tools.notes.wish(wish.belongs.capsule)
    parts = sandbox.belongs.parts if sandbox and sandbox.belongs else ()
    for uuid in (wish.belongs.capsule, *parts):
        if uuid != wish.uuid and tools.notes.wish(uuid) is not None:
            tools.agenda.add(uuid)
