"""The heart of the agent, with one verb: compare wish and fact, take the next step.

A lost message, a restart and a crash are the same case: look again.
"""

from __future__ import annotations

import logging
import random

from dolium import errors
from dolium.agent import policy, sandbox
from dolium.agent.commands import VERBS
from dolium.agent.keep import keep
from dolium.agent.notes import Life
from dolium.agent.passes import STOP_S, UNKNOWN, Pass, Tools
from dolium.agent.sandbox import Waiting
from dolium.model import trace
from dolium.model.container import ASKS, Spec, Verb, Wanted
from dolium.model.metric import PASSES
from dolium.model.wish import Command, Wish

LOG = logging.getLogger(__name__)

REFUSED_S = 5.0
"""Base of the back-off after an error that a command can't be ended with."""


class Converge:
    """Passes over containers; each container is in at most one pass at a time."""

    def __init__(self, tools: Tools, rng: random.Random) -> None:
        self._tools = tools
        self._rng = rng
        self._tries: dict[str, int] = {}
        self.doomed: dict[str, set[int]] = {}
        """Containers without a wish that may be removed, with generations seen of them."""
        self.extra: dict[str, set[int]] = {}
        """Generations older than the wish's own that a listing showed."""

    def converge(self, uuid: str) -> str:
        """One pass; returns one sentence about what it found or did."""
        notes = self._tools.notes
        wish, life = notes.wish(uuid), notes.life(uuid)
        if wish is None:
            return self._bury(uuid, life or Life()) if uuid in self.doomed else "nobody's"
        p = Pass(self._tools, wish, life or _fresh(wish))
        try:
            sentence = self._step(p)
        except Waiting as why:
            self._count("again")
            self._tries.pop(uuid, None)
            p.report(restarting=_open(p) is None and wish.wanted is Wanted.RUNNING)
            return str(why)
        except errors.DriverError as error:
            return self._hold(p, error)
        except errors.Shutdown:
            self._count("stopped")
            return "put off: the agent stops"
        except Exception as error:
            LOG.exception("container %s: a bug", uuid)
            return self._hold(p, error)
        self._count("done")
        self._tries.pop(uuid, None)
        return sentence

    def waits(self, uuid: str) -> bool:
        """Whether the last pass failed and the next try has its time."""
        return uuid in self._tries

    def _step(self, p: Pass) -> str:
        if p.wish.wanted is Wanted.DELETED:
            return self._delete(p)
        command = _open(p)
        if command is not None:
            return self._carry(p, command)
        for generation in sorted(self.extra.pop(p.wish.uuid, ())):
            p.drop(generation)
        return keep(p)

    def _carry(self, p: Pass, command: Command) -> str:
        trace.name(command.request_id)
        p.begin(command)
        try:
            sentence = VERBS[command.verb](p, command)
        except UNKNOWN:
            raise
        except errors.DriverError as error:
            sentence = f"{command.verb} failed: {error}"
            if ASKS[command.verb].starts or command.params.get("run"):
                p.life.started = max(p.life.started, command.generation)
            p.end(command, False, str(error))
            sandbox.wake(self._tools, p.wish)
        else:
            p.end(command, True, sentence)
        if _open(p) is None:
            keep(p)
            return sentence
        p.look()
        p.report()
        self._tools.agenda.add(p.wish.uuid)
        return sentence

    def _delete(self, p: Pass) -> str:
        """Nothing outside is torn down before the container has stopped."""
        if p.life.gone:
            p.report(gone=True)
            return "is gone"
        command = next((c for c in p.wish.commands if c.verb is Verb.DELETE), None)
        timeout_s = STOP_S
        if command is not None:
            trace.name(command.request_id)
            p.begin(command)
            patient = command.params.get("stop") or not command.params.get("force")
            timeout_s = int(command.params.get("timeout", STOP_S)) if patient else 0
        sandbox.others_gone(p)
        found = self.extra.pop(p.wish.uuid, set())
        for generation in sorted({*p.life.generations(p.wish), *found}):
            p.drop(generation, timeout_s)
        self._tools.wiring.unplug(p.wish.uuid)
        self._tools.pins.free(p.wish.uuid)
        p.life.gone = True
        if command is not None:
            p.end(command, True, None)
        else:
            p.save()
        p.seen = None
        p.report(gone=True)
        sandbox.wake(self._tools, p.wish)
        return "deleted"

    def _bury(self, uuid: str, life: Life) -> str:
        """Remove what is left of a container whose row is gone for certain."""
        wish = Wish(
            uuid=uuid,
            project_id="",
            name="",
            generation=0,
            created_generation=0,
            wanted=Wanted.DELETED,
            start_epoch=0,
            spec=Spec(image=""),
        )
        p = Pass(self._tools, wish, life)
        try:
            for generation in sorted({*life.made, *self.doomed[uuid]}):
                p.drop(generation)
            self._tools.wiring.unplug(uuid)
        except errors.DriverError as error:
            self._count("again")
            return self._again(uuid, error)
        self._count("done")
        self._tools.pins.free(uuid)
        self._tools.notes.forget(uuid)
        self._tools.outbox.forget(uuid)
        self.doomed.pop(uuid, None)
        self._tries.pop(uuid, None)
        return "what was left of it is removed"

    def _hold(self, p: Pass, error: Exception) -> str:
        """Unknown outcome: say why it takes longer, look again later."""
        expected = isinstance(error, errors.Error)
        self._count("again" if expected else "bug")
        p.known = False
        p.report(reason=str(error) if expected else "An internal error; the agent tries again")
        return self._again(p.wish.uuid, error)

    def _count(self, outcome: str) -> None:
        self._tools.meter.count(PASSES, outcome)

    def _again(self, uuid: str, error: Exception) -> str:
        tries = self._tries[uuid] = self._tries.get(uuid, 0) + 1
        base = error.retry if isinstance(error, errors.Error) and error.retry else REFUSED_S
        delay = policy.jitter(self._rng, base, tries)
        self._tools.agenda.add(uuid, delay)
        return f"tries again in {delay:.1f} s: {error}"


def _open(p: Pass) -> Command | None:
    """The next command: in order of generations, each once."""
    left = (c for c in p.wish.commands if c.generation > p.life.done)
    return min(left, key=lambda command: command.generation, default=None)


def _fresh(wish: Wish) -> Life:
    """The first note about a container.

    When it is not about to be created, the journal was lost: what was asked before counts as
    done, and the engine is looked at.
    """
    if any(command.verb is Verb.CREATE for command in wish.commands):
        return Life()
    first = min((c.generation for c in wish.commands), default=wish.generation + 1)
    return Life(
        done=first - 1,
        started=min(wish.start_epoch, first - 1),
        made=(wish.created_generation,),
    )
