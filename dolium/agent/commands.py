"""What each verb does on a host: one small function each, safe to be run again after a crash.

A function acts and returns a sentence; a definite failure is raised as DriverError and ends
the command, `passes.UNKNOWN` leaves it open.
"""

from __future__ import annotations

from collections.abc import Callable

from dolium import errors
from dolium.agent import sandbox
from dolium.agent.notes import Begun
from dolium.agent.passes import LIVE, STOP_S, Pass
from dolium.model.container import Seen, Verb
from dolium.model.image import snapshot
from dolium.model.wish import Command

INTERRUPTED = "interrupted; not repeated"

ENDING = frozenset({"KILL", "TERM", "INT", "QUIT", "ABRT", "3", "2", "6", "9", "15"})
"""Signals by which people mean: end. The restart policy then leaves the container alone."""


def create(p: Pass, command: Command) -> str:
    """Make the container, and start it when asked to run."""
    with p.tentative():
        remark = p.make()
        sandbox.inits_ended(p)
        if command.params.get("run"):
            _begin_running(p, command.generation)
    return remark or "created"


def start(p: Pass, command: Command) -> str:
    """Start it once for this command; make it first when it is not there (any more)."""
    if p.look() is None:
        with p.tentative():
            p.make()
            _begin_running(p, command.generation)
    else:
        _begin_running(p, command.generation)
    return "started"


def _begin_running(p: Pass, epoch: int) -> None:
    assert p.seen is not None
    done = p.launched() or p.life.started >= epoch or p.seen.state in LIVE
    p.life.restarts = p.life.short = 0
    if not done:
        p.launch(epoch)
    p.life.started = max(p.life.started, epoch)


def stop(p: Pass, command: Command) -> str:
    """Stop it; absent or stopped is fine."""
    p.look()
    p.launched()
    p.halt(_timeout(command))
    p.life.running = p.life.next_at = None
    return "stopped"


def reboot(p: Pass, command: Command) -> str:
    """Stop and start; the engine's start time tells whether it has happened."""
    begun = p.begin(command)
    seen = p.look()
    if begun.acted and _moved(begun, seen):
        p.launched()
        return "rebooted before"
    if not begun.acted:
        p.act()
    p.life.restarts = p.life.short = 0
    if seen is None:
        with p.tentative():
            p.make()
            p.launch(command.generation)
    else:
        p.halt(_timeout(command))
        p.launch(command.generation)
    return "rebooted"


def kill(p: Pass, command: Command) -> str:
    """Send a signal, at most once."""
    begun = p.begin(command)
    seen = p.look()
    if begun.acted:
        if seen is None or seen.state not in LIVE or _moved(begun, seen):
            return "killed before"
        raise errors.Refused(why=INTERRUPTED)
    if seen is None:
        raise errors.Absent(what="The container")
    if seen.state not in LIVE:  # it may have gone down with its engine: no signal ended it
        raise errors.Refused(why="The container is not running")
    signal = str(command.params.get("signal") or "SIGKILL")
    quiet = p.life.quiet
    if signal.removeprefix("SIG") in ENDING:
        p.life.quiet = p.tools.clock.now()
    p.act()
    try:
        p.tools.engine.kill(seen.handle, signal)
    except errors.Unanswered:
        raise
    except errors.DriverError:
        p.life.quiet = quiet
        raise
    return f"{signal} sent"


def pause(p: Pass, command: Command) -> str:
    """Freeze it."""
    p.tools.engine.pause(_there(p).handle)
    return "paused"


def unpause(p: Pass, command: Command) -> str:
    """Thaw it."""
    p.tools.engine.unpause(_there(p).handle)
    return "unpaused"


def update(p: Pass, command: Command) -> str:
    """Apply new amounts; a container still to be made gets them then."""
    if seen := p.look():
        p.tools.engine.update(seen.handle, p.wish.spec)
    return "updated"


def rebuild(p: Pass, command: Command) -> str:
    """Replace it by one made anew from its image, on the same ports."""
    run = bool(command.params.get("run"))
    if was := command.params.get("was"):
        p.mark(int(was))  # whatever the journal knows of it
    if not run:
        p.owe_nothing()
    with p.tentative():
        remark = p.make()  # removes the older generation once the image is there
        assert p.seen is not None
        if run and not p.launched() and p.seen.started_at is None:
            p.life.restarts = p.life.short = 0
            p.launch(p.life.started)
    return remark or "rebuilt"


def network_attach(p: Pass, command: Command) -> str:
    """Plug it into a network again; what is not there now is made with it."""
    seen, network = p.look(), command.params["network"]
    if seen is not None:
        p.join(seen, str(network))
    return f"is on network {network}"


def network_detach(p: Pass, command: Command) -> str:
    """Take it off a network; what is not there now (perhaps because an older generation is about
    to be replaced, which runs on it still) is made without it.
    """
    seen, network = p.look(), command.params["network"]
    if seen is not None:
        p.tools.engine.disconnect(seen.handle, str(network))
        p.tools.wiring.plug(p.wish)  # without that port, which may become no endpoint any more
    return f"is off network {network}"


def commit(p: Pass, command: Command) -> str:
    """Make an image of it, which waits here until the control side has fetched it for Glance."""
    name = snapshot(str(command.params["image"]))
    p.tools.engine.commit(_there(p).handle, name)
    return f"is {name}"


def _there(p: Pass) -> Seen:
    seen = p.look()
    if seen is None:
        raise errors.Absent(what="The container")
    p.launched()
    return seen


def _moved(begun: Begun, seen: Seen | None) -> bool:
    if seen is None or seen.started_at is None:
        return False
    return seen.handle != begun.handle or seen.started_at != begun.before


def _timeout(command: Command) -> int:
    given = command.params.get("timeout")
    return STOP_S if given is None else int(given)


VERBS: dict[Verb, Callable[[Pass, Command], str]] = {
    Verb.CREATE: create,
    Verb.START: start,
    Verb.STOP: stop,
    Verb.REBOOT: reboot,
    Verb.KILL: kill,
    Verb.PAUSE: pause,
    Verb.UNPAUSE: unpause,
    Verb.UPDATE: update,
    Verb.REBUILD: rebuild,
    Verb.NETWORK_ATTACH: network_attach,
    Verb.NETWORK_DETACH: network_detach,
    Verb.COMMIT: commit,
}
"""Every verb but delete, which supersedes them all (agent/converge.py)."""
