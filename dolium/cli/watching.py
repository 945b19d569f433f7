"""Makes what a process tells of itself: its registry, and the server beside a role."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from dolium import conf
from dolium.cli import listening
from dolium.metrics.registry import Registry
from dolium.model.clock import Clock, SystemClock
from dolium.model.metric import Source

if TYPE_CHECKING:
    from dolium.agent.agent import Agent
    from dolium.metrics.server import Watch
    from dolium.store.store import Store


def of_store(store: Store, sources: Sequence[Source], clock: Clock | None = None) -> Registry:
    """The registry of a process that works on the database; counts with the store's meter.

    sources: the roles it has besides. The cloud's own gauges are a conductor's to tell.
    """
    from dolium.control.figures import Figures, database  # an agent has no SQL in its memory

    clock = clock or SystemClock()
    made = Registry(store.meter, (*sources, Source.STORE), clock)
    made.check("database", partial(database, store))
    if Source.CONDUCTOR in sources:
        made.read(Figures(store, clock).read)
    return made


def agent(registry: Registry, made: Agent) -> None:
    """Let the registry tell of the agent that this process has."""
    registry.read(made.core.figures)
    registry.check("agent", made.core.check)


class Beside:
    """The server beside a role with its certificate, from `start` to `stop`."""

    def __init__(self, watch: Watch, tls: listening.Tls | None) -> None:
        self._watch, self._tls = watch, tls

    def start(self) -> None:
        """Take the port; raises StartError when it is taken."""
        self._watch.start()
        if self._tls:
            self._tls.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._tls:
            self._tls.stop()
        self._watch.stop()


def beside(config: conf.Config, role: str, registry: Registry) -> Beside | None:
    """The server of a role (api, conductor, agent); None where none is configured. Raises
    StartError when it would speak in plain text to others.
    """
    port = config.metrics.port(role)
    if not port:
        return None
    from dolium.metrics.server import Watch  # most have none

    tls = listening.metrics_tls(config)
    context = tls.context if tls else None
    return Beside(Watch(config.metrics.listen, port, registry, context), tls)
