"""What a host does about a container while no command is open: one function per engine state.

Running is an edge: a container that ends by itself stays stopped unless its restart policy says
otherwise (decision 10). It *went down with its engine*, and comes back, when it was noted as
running under another incarnation of the engine or machine than the one that answers now: an end
that the agent saw while the engine lived clears that note, and so does a stop that was asked
for. What ended without the agent having looked before the engine went down counts as gone down
with it: an engine that is stopped in good order ends its containers as if by themselves, so that
not even the time of an end tells one from the other.
"""

from __future__ import annotations

from collections.abc import Callable

from dolium import errors
from dolium.agent import policy, sandbox
from dolium.agent.passes import LIVE, STOP_S, UNKNOWN, Pass
from dolium.model.container import RestartPolicy, State, Wanted

ALWAYS = RestartPolicy(name="always")
LIVELY = frozenset({Wanted.RUNNING, Wanted.PAUSED})


def keep(p: Pass) -> str:
    """Look, do the next thing if the wish wants one, report."""
    seen = p.look()
    if seen is not None and seen.state in LIVE and _left_behind(p):
        return _anew(p, "its sandbox was started anew; made anew for it")
    return STATES[seen.state if seen else State.ABSENT](p)


def _left_behind(p: Pass) -> bool:
    """Whether it shares what its sandbox had in an earlier run."""
    life = p.life
    if not sandbox.shares(p.wish) or not life.sandbox_run:
        return False
    try:
        now = sandbox.running(p.tools, p.wish)
    except (sandbox.Waiting, errors.Refused):
        return False  # it stays as it is until there is a sandbox again
    return sandbox.run(now) != life.sandbox_run


def _running(p: Pass) -> str:
    _note_running(p)
    assert p.seen is not None
    if p.wish.wanted is Wanted.STOPPED:
        p.halt(STOP_S)
        return _look_again(p, "stopped, as wished")
    if p.wish.wanted is Wanted.PAUSED:
        p.tools.engine.pause(p.seen.handle)
        return _look_again(p, "paused, as wished")
    p.pin()
    p.report()
    return "runs"


def _paused(p: Pass) -> str:
    _note_running(p)
    assert p.seen is not None
    if p.wish.wanted is Wanted.RUNNING:
        p.tools.engine.unpause(p.seen.handle)
        return _look_again(p, "unpaused, as wished")
    if p.wish.wanted is Wanted.STOPPED:
        p.halt(STOP_S)
        return _look_again(p, "stopped, as wished")
    p.pin()
    p.report()
    return "is paused"


def _note_running(p: Pass) -> None:
    p.launched()
    life = p.life
    epoch = max(life.started, p.wish.start_epoch)
    if (life.started, life.next_at, life.rested) != (epoch, None, False):
        life.started, life.next_at, life.rested = epoch, None, False
        p.save()


def _look_again(p: Pass, sentence: str) -> str:
    p.look()
    p.tools.agenda.add(p.wish.uuid)
    return sentence


def _resting(p: Pass) -> str:
    life, wish = p.life, p.wish
    p.launched()  # perhaps it was started and has ended since
    if wish.wanted not in LIVELY:
        return _rest(p)
    if life.launch is not None or wish.start_epoch > life.started or life.rested:
        return _start(p, "started, as owed")
    if life.running is not None:
        if life.running != p.tools.incarnation() and not _asked(p):
            return _start(p, "came back with its engine")
        _ended(p)
    if life.next_at is None:
        p.report()
        return "stays stopped"
    left = min(life.next_at - p.tools.clock.now(), policy.LONGEST_S)
    if left > 0:
        p.tools.agenda.add(wish.uuid, left)
        p.report(restarting=True)
        return f"starts again in {left:.0f} s"
    life.restarts += 1
    return _start(p, "started again by its restart policy")


def _rest(p: Pass) -> str:
    life = p.life
    if life.running is not None or life.next_at is not None or life.rested:
        life.running, life.next_at, life.rested = None, None, False
        p.save()
    p.report()
    return "rests, as wished"


def _ended(p: Pass) -> None:
    """It ended by itself: ask the restart policy once."""
    life, seen = p.life, p.seen
    assert seen is not None
    life.running = life.next_at = None
    if policy.steady(seen.started_at, seen.finished_at):
        life.short = 0
    if not _asked(p):
        _wait(p, seen.exit_code)
    p.save()
    sandbox.wake(p.tools, p.wish)


def _asked(p: Pass) -> bool:
    """Whether it ended because somebody sent a signal for that."""
    quiet, seen = p.life.quiet, p.seen
    if quiet is None or seen is None:
        return False
    return (seen.finished_at or quiet) <= quiet + policy.ENDING_S


def _wait(p: Pass, exit_code: int | None) -> bool:
    life = p.life
    wait = policy.wait(_policy(p), exit_code, life.restarts, life.short)
    if wait is None:
        return False
    life.short += 1
    life.next_at = p.tools.clock.now() + wait
    return True


def _policy(p: Pass) -> RestartPolicy | None:
    """A sandbox always comes back; its spec has the policy of the others."""
    return ALWAYS if sandbox.is_sandbox(p.wish) else p.wish.spec.restart_policy


def _start(p: Pass, sentence: str) -> str:
    ran = p.seen is not None and p.seen.state is State.EXITED
    try:
        p.launch(p.wish.start_epoch, again=ran)
    except UNKNOWN:
        raise
    except errors.DriverError as error:
        again = _wait(p, None)
        p.use(p.wish.start_epoch)
        if again:
            p.tools.agenda.add(p.wish.uuid, policy.FIRST_S)
        p.report(reason=str(error), restarting=again)
        return f"could not be started: {error}"
    seen = p.look()
    if p.wish.wanted is Wanted.PAUSED or seen is None or seen.state not in LIVE:
        p.tools.agenda.add(p.wish.uuid)  # the next pass goes on, and reports
    else:
        p.report()
    return sentence


def _absent(p: Pass) -> str:
    life = p.life
    heals = p.wish.spec.auto_heal or sandbox.is_sandbox(p.wish)
    goes_on = p.wish.belongs is not None and life.rested  # it is being made anew
    if not (life.exists and heals) and not goes_on:
        p.report()
        return "is not in the engine"
    return _anew(p, "vanished; made anew")


def _anew(p: Pass, sentence: str) -> str:
    life = p.life
    if life.running is not None:  # whoever is killed now must still know that it ran
        life.running, life.rested = None, True
        p.save()
    if p.seen is not None:
        p.drop(p.wish.created_generation)
    with p.tentative():
        p.make()
    p.tools.agenda.add(p.wish.uuid)
    return sentence


STATES: dict[State, Callable[[Pass], str]] = {
    State.CREATED: _resting,
    State.RUNNING: _running,
    State.PAUSED: _paused,
    State.EXITED: _resting,
    State.DEAD: _resting,
    State.ABSENT: _absent,
}
"""One row per state of the engine."""
