"""The threads around the core: pull, work, listen, look, post.

Nothing waits for a clock where a condition can wake it: a wish goes from the pull straight to a
worker. Every wait is bounded, and ends when the agent is asked to stop.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from dolium import errors
from dolium.agent import policy
from dolium.agent.core import Core, Options, Wiring
from dolium.agent.journal import Journal
from dolium.drivers.engine.base import Engine
from dolium.link.base import Control, Line
from dolium.model.clock import Clock
from dolium.model.metric import Meter
from dolium.model.wish import Answer, Question

LOG = logging.getLogger(__name__)

WAITERS = 4
"""Worker threads per place at the gate: those that pull or stop only wait for the engine."""
FIRST_RETRY_S = 0.2
WORKER_WAIT_S = 5.0
PROMISE_S = 1.0
"""Between two looks at the lease."""
END_S = 5.0
"""How long a stop waits for each thread; passes that take longer are resumed by the next run."""


class Agent:
    """One host's agent: `start`, later `stop`; implements link.base.Agent."""

    def __init__(
        self,
        link: Control,
        engine: Engine,
        wiring: Wiring,
        journal: Journal,
        clock: Clock,
        rng: random.Random,
        options: Options,
        meter: Meter | None = None,
    ) -> None:
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._enrolled = threading.Event()
        self._engine = engine
        self._rng = rng
        self._places = options.workers or 2 * (os.cpu_count() or 1)
        self.core = Core(
            link,
            engine,
            wiring,
            journal,
            clock,
            rng,
            options,
            gate=threading.BoundedSemaphore(self._places),
            stopping=self._stopping.is_set,
            meter=meter,
        )
        self._options = options
        self._prepares = bool(options.ready) and "sandbox" in engine.can
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self.core.consoles.start()
        for name, body in (
            ("pull", self._pull),
            ("post", self._post),
            ("look", self._look),
            ("listen", self._listen),
            *((("promise", self._promise),) if self._options.lease_s else ()),
            *((("ready", self._ready),) if self._prepares else ()),
            *((f"work-{number}", self._work) for number in range(WAITERS * self._places)),
        ):
            thread = threading.Thread(target=body, name=f"agent-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def enrolled(self, timeout_s: float) -> bool:
        """Wait until the control side knows this host."""
        return self._enrolled.wait(timeout_s)

    def answer(self, question: Question) -> Answer:
        """Answer for a container of this host; never raises."""
        return self.core.answer(question)

    def open(self, question: Question) -> Line:
        """Open a console, or what else is read as it comes; raises errors.Error."""
        return self.core.open(question)

    def stop(self, *, rest: bool = False) -> None:
        """End in order; a step under way is resumed by the next start.

        rest: stop the containers too; the next start brings back those that ran.
        """
        self._stopping.set()
        self._look_now.set()
        self.core.consoles.stop()
        self.core.agenda.close()
        self.core.outbox.close()
        self.core.ready.close()
        until = time.monotonic() + END_S
        for thread in self._threads:
            # A long poll and the engine's events end by themselves; nobody has to wait for them.
            if thread.name not in ("agent-pull", "agent-listen"):
                thread.join(max(0.0, until - time.monotonic()))
        if rest:
            self.core.rest()
        if self._prepares:
            with suppress(errors.Error):  # the next start removes them
                self.core.ready.clear(self.core.deployment)
        self._last_words()
        self._engine.close()

    def _last_words(self) -> None:
        try:
            while self.core.post():
                pass
        except errors.Error as error:
            LOG.info("the last facts wait for the next start: %s", error)

    # --- the bodies of the threads ---------------------------------------------------------------

    def _again(self, what: str, body: Callable[[], object]) -> None:
        """Run `body` until the agent stops; failures are spaced out."""
        tries = 0
        while not self._stopping.is_set():
            try:
                body()
                tries = 0
            except errors.Error as error:
                tries += 1
                LOG.warning("%s: %s", what, error)
            except Exception:
                if self._stopping.is_set():
                    return  # a long poll that ended after everything else did
                tries += 1
                LOG.exception("%s: a bug", what)
            if tries:
                base = FIRST_RETRY_S
                self._stopping.wait(policy.jitter(self._rng, base, tries))

    def _pull(self) -> None:
        def body() -> None:
            if not self.core.boot:
                self.core.hello()
            page = self.core.pull(self._options.wait_s)
            if page.full:
                self._enrolled.set()
                self._look_now.set()

        self._again("wishes could not be pulled", body)

    def _post(self) -> None:
        def body() -> None:
            if self.core.outbox.wait(WORKER_WAIT_S) and not self.core.post():
                raise errors.Unanswered(what="The control side", why="nothing was written down")

        self._again("facts could not be posted", body)

    def _work(self) -> None:
        def body() -> None:
            uuid = self.core.agenda.take(WORKER_WAIT_S)
            if uuid is None:
                return
            try:
                self.core.step(uuid)
            finally:
                self.core.agenda.done(uuid)

        self._again("a pass failed", body)

    def _look(self) -> None:
        def body() -> None:
            self._look_now.clear()
            if self._enrolled.is_set():
                for sentence in self.core.look():
                    LOG.info("%s", sentence)
            self._look_now.wait(self._options.look_s * self._rng.uniform(0.8, 1.2))

        self._again("the look at everything failed", body)

    def _promise(self) -> None:
        def body() -> None:
            self._stopping.wait(PROMISE_S)  # first: after a long rest the Hello renews the lease
            if stopped := self.core.keep_promise():
                LOG.warning("without a lease stopped: %s", ", ".join(stopped))

        self._again("the promise could not be kept", body)

    def _ready(self) -> None:
        def body() -> None:
            if self._enrolled.wait(WORKER_WAIT_S):
                self.core.ready.wait(WORKER_WAIT_S)
                self.core.ready.step(self.core.deployment)

        self._again("no sandbox could be made ready", body)

    def _listen(self) -> None:
        def body() -> None:
            if not self._enrolled.wait(WORKER_WAIT_S):
                return
            happened = self._engine.events(self.core.deployment)
            self.core.look(every=True)  # what happened while nobody listened
            for event in happened:
                self.core.hear(event.uuid, event.what)
                if self._stopping.is_set():
                    return

        self._again("the engine's events broke off", body)
