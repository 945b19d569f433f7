"""The agent without threads: pull, step, look, post, answer, rest. What drives it decides when.

`agent.py` drives it with threads, `tests/simulation` with a seeded scheduler.
"""

from __future__ import annotations

import logging
import random
import uuid as uuids
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Protocol

from msgspec import Struct

from dolium import errors
from dolium.agent import passes
from dolium.agent.agenda import Agenda
from dolium.agent.consoles import Consoles
from dolium.agent.converge import Converge
from dolium.agent.images import Images
from dolium.agent.inventory import Place, inventory
from dolium.agent.journal import Journal
from dolium.agent.keep import LIVELY
from dolium.agent.lease import Lease
from dolium.agent.loading import Loading
from dolium.agent.notes import Life, Notes
from dolium.agent.outbox import Outbox
from dolium.agent.pins import Pins
from dolium.agent.questions import answer, reply
from dolium.agent.ready import Ready
from dolium.drivers.engine.base import Engine
from dolium.link.base import Control, Line
from dolium.model import trace
from dolium.model.clock import Clock
from dolium.model.container import Seen, engine_name
from dolium.model.host import Hello
from dolium.model.metric import FACTS_WAITING, LEASE_AGE, Meter, Value
from dolium.model.registry import Login
from dolium.model.wish import Answer, Facts, Page, Question, Wish

LOG = logging.getLogger(__name__)


BEGINNINGS = frozenset({"create", "start"})
"""Events that a pass causes."""

ARRIVE_S = 15.0
"""Least time between two looks for what is plugged nowhere: what one finds the next one takes, so
whatever is being made meanwhile (an interface on its way into a container) must have had time to
arrive."""


class Wiring(passes.Wiring, Protocol):
    """What the agent needs of the host's side of networks (agent/wiring.py)."""

    def tidy(self, containers: set[str], networks: set[str], *, arrived: bool) -> list[str]:
        """In the periodic look; says what it did."""
        ...


class Options(Struct, frozen=True, kw_only=True):
    """What an agent is told when it is made."""

    host: str
    place: Place = Place()
    machine: str = ""
    """Id of this run of the machine's kernel."""
    look_s: float = 30.0
    """Seconds between two looks at everything."""
    workers: int = 0
    """Containers an engine creates or starts at once; 0: twice the cores."""
    wait_s: float = 10.0
    """How long a pull waits for news."""
    ready: int = 0
    """Sandboxes that run before a capsule wants one (agent/ready.py)."""
    lease_s: int = 0
    """Seconds without an answer after which exclusive containers are stopped; 0: never."""


class Core:
    """One run of an agent. Methods may be called by several threads, `step` with one container
    by one thread at a time (agenda.py sees to that).
    """

    def __init__(
        self,
        link: Control,
        engine: Engine,
        wiring: Wiring,
        journal: Journal,
        clock: Clock,
        rng: random.Random,
        options: Options,
        gate: AbstractContextManager[object] | None = None,
        stopping: Callable[[], bool] = lambda: False,
        meter: Meter | None = None,
    ) -> None:
        self._link = link
        self._engine = engine
        self._wiring = wiring
        self._rng = rng
        self.options = options
        self.notes = Notes(journal)
        self.consoles = Consoles(engine, journal)
        self.outbox = Outbox()
        self.agenda = Agenda(clock)
        self.boot = ""
        """Id of this run; empty until enrolled. An agent that is cut off starts nothing."""
        self._since = 0
        self._complete = False
        """True once a full page told of every wish there is. Before that nothing is done: of
        what the journal wishes, something may be another host's by now."""
        renewed = self.notes.renewed(options.machine)
        renew = partial(self.notes.renew, options.machine)
        self._lease = Lease(clock, options.lease_s, renewed, renew)
        self._yielded = False
        """True while what may run elsewhere is stopped, because the lease has lapsed."""
        self._torn: set[str] = set()
        """Containers that were stopped for that."""
        self.ready = Ready(engine, clock, options.ready)
        self._tools = passes.Tools(
            engine=engine,
            wiring=wiring,
            notes=self.notes,
            outbox=self.outbox,
            agenda=self.agenda,
            pins=Pins(self.notes, self.agenda, lambda: engine.facts().cpu_ids),
            clock=clock,
            gate=gate or nullcontext(),
            machine=options.machine,
            stopping=stopping,
            loading=Loading(engine, self._image),
            login=self._login,
            ready=self.ready,
            meter=meter or Meter(),
        )
        self._converge = Converge(self._tools, rng)
        self.images = Images(engine, stopping)
        self._arrived = -ARRIVE_S
        self._networks: set[str] = set()
        """Those that wishes named when it was last looked for surplus ones."""
        self._went = False
        """Others were named before that: what is surplus by now goes with the next look."""

    @property
    def deployment(self) -> str:
        """The mark of everything of ours in an engine; empty until enrolled."""
        return self._tools.deployment

    # --- with the control side -----------------------------------------------------------------

    def hello(self) -> None:
        """First of all, and again when cut off: enrol; everything known is news again."""
        host = self.options.host
        try:
            found = inventory(host, self.options.place, self._engine.facts(), self._engine.can)
        except errors.DriverError:
            known = self.notes.inventory()
            if known is None:
                raise
            found = known
        boot = str(uuids.UUID(int=self._rng.getrandbits(128), version=4))
        with self._lease.renewal():
            welcome = self._link.hello(
                Hello(host=host, boot=boot, inventory=found, lease_s=self.options.lease_s)
            )
        self.notes.enrol(welcome, found)
        self._tools.deployment = welcome.deployment
        self.outbox.renew()
        self._since, self._complete, self.boot = 0, False, boot

    def pull(self, wait_s: float = 0.0) -> Page:
        """Fetch what changed, waiting up to wait_s, and put it on the agenda.

        Raises Changed when there is reason to say Hello again.
        """
        try:
            with self._lease.renewal():
                page = self._link.wishes(self.options.host, self.boot, self._since, wait_s)
            self._check(page)
        except errors.Changed:
            self._cut_off()
            raise
        with self.notes.together():
            for wish in page.wishes:
                self.notes.keep(wish)
            if page.full:
                named = {wish.uuid for wish in page.wishes}
                for uuid in sorted(self.notes.wishes().keys() - named):
                    self.notes.disown(uuid)
        for uuid in page.gone:
            self._released(uuid)
        self._since = page.revision
        self._complete = self._complete or page.full
        for wish in page.wishes:
            self.outbox.again(wish.uuid)  # told anew: somebody wants to know
            self.agenda.add(wish.uuid)
        if page.full:
            for uuid in sorted(self.notes.lives()):
                self.agenda.add(uuid)
        return page

    def _check(self, page: Page) -> None:
        """A page older than what is known tells of an answer that came late, a database that
        lags behind, or one that was restored. Hello is a write: what is read after it is right.
        """
        if page.revision < self._since:
            raise errors.Changed(kind="Host", id=self.options.host)

    def _released(self, uuid: str) -> None:
        """The row is deleted: forget the container, after removing what should be gone."""
        if self.notes.wish(uuid) is None and self.notes.life(uuid) is None:
            return
        self.notes.disown(uuid)
        self._doom(uuid)

    def _doom(self, uuid: str, *generations: int) -> None:
        self._converge.doomed.setdefault(uuid, set()).update(generations)
        self.agenda.add(uuid)

    def post(self) -> int:
        """Send one batch of facts; returns how many were written down."""
        boot, batch = self.boot, self.outbox.batch()
        if not batch or not boot:
            return 0
        with self._lease.renewal() as renewal:
            ack = self._link.post(Facts(host=self.options.host, boot=boot, facts=batch))
            renewal.refused = ack.stale
        if ack.stale:
            if boot == self.boot:
                self._cut_off()
            return 0
        known = self.outbox.settle(batch, ack)
        for fact in known:
            if fact.results:
                self.notes.settle(fact.uuid, fact.results)
        return len(known)

    def _login(self, uuid: str) -> Login:
        """For `Tools`."""
        with _definite(errors.NotFound, errors.Unreadable):
            return self._link.login(self.options.host, self.boot, uuid)

    def _image(self, uuid: str) -> Iterator[bytes]:
        """For `Tools`."""
        with _definite():
            yield from self._link.image(self.options.host, self.boot, uuid)

    def _cut_off(self) -> None:
        LOG.warning(
            "host %s is not known as this run of its agent: it enrolls again", self.options.host
        )
        self.boot = ""

    # --- with the engine -----------------------------------------------------------------------

    def step(self, uuid: str) -> str:
        """One pass over one container; returns what it found or did."""
        if not self.boot or not self._complete:
            return "not enrolled"
        if self._lease.lapsed() and self._exclusive(uuid):
            return "nothing: the lease has lapsed"
        if uuid in self._torn:  # whatever an earlier pass made of its end: it comes back
            self._torn.discard(uuid)
            self._note_rest(uuid)
        with trace.of():  # whichever request the pass finds out it is for
            sentence = self._converge.converge(uuid)
            LOG.info("container %s: %s", uuid, sentence)
        return sentence

    def hear(self, uuid: str, what: str) -> None:
        """The engine tells that something happened to a container: look at it.

        Not while a back-off runs, because our own tries cause events too; and not for a beginning
        during a pass: it is the pass's own doing, which it looks at itself.
        """
        if what in BEGINNINGS and self.agenda.busy(uuid):
            return
        if not self._converge.waits(uuid):
            self.agenda.add(uuid)

    def look(self, *, every: bool = False) -> list[str]:
        """Compare everything the engine has with the wishes; returns what was tidied.

        every: put all containers on the agenda, because events may have been missed.
        """
        if not self.boot:
            return []
        listing = self._engine.listing(self._tools.deployment)
        lives, wishes = self.notes.lives(), self.notes.wishes()
        own: dict[str, Seen] = {}
        strange: dict[str, set[int]] = {uuid: set() for uuid in lives if uuid not in wishes}
        for seen in listing:
            wish = wishes.get(seen.uuid)
            if wish is None:
                strange.setdefault(seen.uuid, set()).add(seen.generation)
            elif seen.generation == wish.created_generation:
                own[seen.uuid] = seen
            elif seen.generation < wish.created_generation:
                self._converge.extra.setdefault(seen.uuid, set()).add(seen.generation)
                if not self._converge.waits(seen.uuid):
                    self.agenda.add(seen.uuid)
        for uuid in wishes:
            if every or (
                not self._converge.waits(uuid)
                and self._differs(uuid, own.get(uuid), lives.get(uuid))
            ):
                self.agenda.add(uuid)
        if not self._complete:
            return []
        self._judge(strange)
        now = self._tools.clock.monotonic()
        networks = {net.uuid for wish in wishes.values() for net in wish.networks}
        arrived, went = now - self._arrived >= ARRIVE_S, networks != self._networks
        if not (arrived or went or self._went):
            return []
        self._arrived = now if arrived else self._arrived
        self._networks, self._went = networks, went
        return self._wiring.tidy({*wishes, *lives, *strange}, networks, arrived=arrived)

    def _differs(self, uuid: str, seen: Seen | None, life: Life | None) -> bool:
        told = self.outbox.told(uuid)
        if told is None or not told.known or life is None:
            return True
        if told.gone or (told.seen is None and seen is None):
            return False
        if told.seen is None or seen is None:
            return True
        return (told.seen.handle, told.seen.state) != (seen.handle, seen.state)

    def _judge(self, strange: dict[str, set[int]]) -> None:
        """Remove what no wish names only if it is gone for certain (decision 16)."""
        if not strange:
            return
        fate = self._link.fate(self.options.host, sorted(strange))
        for uuid in fate.gone:
            if self.notes.wish(uuid) is None:
                self._doom(uuid, *strange[uuid])
        for uuid in fate.unknown:
            if not strange[uuid] and self.notes.wish(uuid) is None:
                self._doom(uuid)  # nothing of it is in the engine: only our notes go

    # --- the rest ------------------------------------------------------------------------------

    def answer(self, question: Question) -> Answer:
        """Answer for a container or an image of this host; never raises."""
        with trace.of(question.request_id):
            if question.what in self.images.questions:
                return reply(question, lambda: self.images.answer(question))
            return answer(self._engine, self._named(question.uuid), question)

    def open(self, question: Question) -> Line:
        """Open a console of a container of this host, or the archive of an image."""
        if question.what == "save_image":
            return self.images.save(question)
        name = self._named(question.uuid)
        seen = self._engine.look(name) if name else None
        if seen is None:
            raise errors.Absent(what=f"Container {question.uuid}")
        with trace.of(question.request_id):
            return self.consoles.open(seen.handle, question)

    def _named(self, uuid: str) -> str | None:
        wish = self.notes.wish(uuid)
        return engine_name(wish.uuid, wish.created_generation) if wish else None

    def figures(self) -> list[Value]:
        """For who watches the agent."""
        return [
            Value(FACTS_WAITING, self.outbox.waiting()),
            Value(LEASE_AGE, self._lease.age()),
        ]

    def check(self) -> str | None:
        """Whether the control side knows this run of the agent, and the engine answers: what is
        wrong, or None. Raises Unanswered when the engine does not.
        """
        if not (self.boot and self._complete):
            return "The control side does not know this run of the agent yet"
        self._engine.facts()
        return None

    def rest(self) -> list[str]:
        """On an orderly `down` with an engine of our own: stop the containers, the newest
        first; the next start brings back those that ran. Returns their ids.
        """
        lives = self.notes.lives()
        wishes: dict[str, Wish] = self.notes.wishes()
        found: list[tuple[float, str, Seen]] = []
        for uuid, wish in wishes.items():
            life = lives.get(uuid)
            if life is None or life.running is None:
                continue
            found += [(seen.started_at or 0.0, uuid, seen) for seen in self._live(wish)]
        for _, uuid, seen in sorted(found, reverse=True, key=lambda each: each[:2]):
            lives[uuid].rested = True
            self.notes.save(uuid, lives[uuid])
            passes.halt(self._engine, seen, passes.STOP_S)
        return [uuid for _, uuid, _ in found]

    # --- the promise ---------------------------------------------------------------------------

    def _exclusive(self, uuid: str) -> bool:
        """Whether the container may be started elsewhere once this host is given up."""
        wish = self.notes.wish(uuid)
        return wish is not None and wish.spec.auto_heal

    def keep_promise(self) -> list[str]:
        """Every second or so: without a lease stop what may run elsewhere by now, at once.

        It comes back when the control side answers and still names it. Returns the ids of those
        that were stopped.
        """
        lapsed, stopped = self._lease.lapsed(), []
        if not lapsed and not self._yielded:
            return []
        for uuid, wish in self.notes.wishes().items():
            if not wish.spec.auto_heal:
                continue
            try:
                if lapsed and self._yield(wish):
                    stopped.append(uuid)
            except errors.DriverError as error:
                LOG.error("container %s has to stop without a lease: %s", uuid, error)
            if not lapsed:
                self.agenda.add(uuid)
        self._yielded = lapsed
        return stopped

    def _yield(self, wish: Wish) -> bool:
        """Stop one container; during a pass its note has to wait for the next time."""
        mine = self.agenda.seize(wish.uuid)
        try:
            live = self._live(wish)
            if live:
                self._torn.add(wish.uuid)
                if mine:
                    self._note_rest(wish.uuid)
            for seen in live:
                passes.halt(self._engine, seen, 0)
        finally:
            if mine:
                self.agenda.done(wish.uuid)
        return bool(live)

    def _live(self, wish: Wish) -> list[Seen]:
        """What runs of it: during a rebuild that may be an older generation."""
        life = self.notes.life(wish.uuid) or Life()
        looks = (
            self._engine.look(engine_name(wish.uuid, generation))
            for generation in life.generations(wish)
        )
        return [seen for seen in looks if seen is not None and seen.state in passes.LIVE]

    def _note_rest(self, uuid: str) -> None:
        wish, life = self.notes.wish(uuid), self.notes.life(uuid)
        if wish is not None and life is not None and wish.wanted in LIVELY:
            life.rested = True
            self.notes.save(uuid, life)


@contextmanager
def _definite(*kinds: type[errors.Error]) -> Iterator[None]:
    """Of what the control side raises these become Refused, and all but DriverErrors Unanswered:
    it may say otherwise when it is asked again.
    """
    try:
        yield
    except kinds as error:
        raise errors.Refused(why=str(error)) from error
    except errors.DriverError:
        raise
    except errors.Error as error:
        raise errors.Unanswered(what="The control side", why=str(error)) from error
