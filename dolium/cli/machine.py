"""The parts of a host: its engine, and the agent with its network plugin."""

from __future__ import annotations

import logging
import random
from pathlib import Path

from dolium import conf
from dolium.agent.agent import Agent
from dolium.agent.core import Options as AgentOptions
from dolium.agent.inventory import Place
from dolium.agent.journal import Journal
from dolium.agent.measured import measured
from dolium.agent.plugin.ledger import Ledger
from dolium.agent.plugin.pairs import Pairs
from dolium.agent.plugin.plugin import Plugin
from dolium.agent.plugin.server import Server as PluginServer
from dolium.agent.wiring import Wiring
from dolium.beside.engine import Engine
from dolium.cli.state import State
from dolium.drivers import load
from dolium.link.base import Control
from dolium.model.clock import SystemClock
from dolium.model.metric import Meter

LOG = logging.getLogger(__name__)
BOOT = Path("/proc/sys/kernel/random/boot_id")


def engine_of(config: conf.Config, state: State, deployment: str) -> Engine:
    """The engine beside this Dolium: somebody's that answers, else our own."""
    name = f"dolium-{deployment[:8]}"
    return Engine(
        state.folder,
        Path("/run") / name,
        name=name,
        socket=Path(config.engine.socket) if config.engine.socket else None,
        mirrors=config.engine.registry_mirrors,
        minimum_free=config.default.min_free_mib * 2**20,
    )


def place(told: conf.Place) -> Place:
    """Where this host stands."""
    return Place(
        region=told.region,
        zone=told.zone,
        rack=told.rack,
        hypervisor=told.hypervisor,
        compute_node=told.compute_node,
        labels=told.labelled(),
        enable_cpu_pinning=told.enable_cpu_pinning,
    )


class Host:
    """The agent with its network plugin, which listens before an engine starts."""

    def __init__(
        self, config: conf.Config, folder: Path, deployment: str, meter: Meter | None = None
    ) -> None:
        self._config = config
        self._meter = meter or Meter()
        self._deployment = deployment
        self._name = f"dolium-{deployment[:8]}"
        self._journal = Journal(folder / "journal.sqlite")
        binder = load("binder", config.network.driver)
        self._binder = binder(
            binder.Options(deployment=deployment, state=str(folder / "kernel.json"))
        )
        self._ledger = Ledger(self._journal)
        self._pairs = Pairs(self._ledger, self._binder)
        plugin = Plugin(self._ledger, self._pairs, config.network.command_line_project)
        self._plugin = PluginServer(
            Path(config.network.plugin_dir) / f"{self._name}.sock", plugin.answer
        )

    def prepare(self) -> None:
        """Rules first, then answer Docker's plugin calls."""
        self._binder.prepare()
        self._plugin.start()

    def join(self, engine_socket: Path) -> None:
        """When an engine answers: what wires its containers."""
        config = self._config
        kind = load("engine", config.engine.driver)
        options = kind.Options(
            socket=str(engine_socket),
            tenant_runtime=config.engine.tenant_runtime,
            pids_limit=config.engine.pids_limit,
        )
        self.engine = measured(kind(options), self._meter)
        self.wiring = Wiring(
            self._journal,
            self._binder,
            self.engine,
            self._name,
            self._deployment,
            pairs=self._pairs,
        )

    def agent(self, link: Control) -> Agent:
        """The agent itself."""
        config = self._config
        return Agent(
            link,
            self.engine,
            self.wiring,
            self._journal,
            SystemClock(),
            random.Random(),
            AgentOptions(
                host=config.host,
                place=place(config.place),
                machine=BOOT.read_text().strip(),
                look_s=config.agent.look_s,
                workers=config.agent.workers,
                ready=config.agent.ready_sandboxes,
                lease_s=config.hosts.lease_s,
            ),
            self._meter,
        )

    def unwire(self, *, engine_too: bool) -> None:
        """After the containers stopped, while the engine still answers: leave no network."""
        for sentence in self.wiring.release(engine_too=engine_too):
            LOG.warning("%s", sentence)

    def close(self) -> None:
        """After the engine stopped, or never answered: answer Docker no more."""
        self._plugin.stop()
        if not self._ledger.networks():
            self._binder.release()  # nothing of an earlier start needs the rules
        self._journal.close()
