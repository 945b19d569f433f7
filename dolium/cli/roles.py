"""All roles of the all-in-one, made and joined by the local link."""

from __future__ import annotations

import hashlib
import logging
import random
from pathlib import Path

import msgspec

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
from dolium.api import app
from dolium.api.auth import Auth
from dolium.api.policy import Policy
from dolium.api.server import Server
from dolium.cli import watching
from dolium.cli.listening import Tls
from dolium.control.conductor import Conductor
from dolium.control.containers import Containers
from dolium.control.heartbeats import Heartbeats
from dolium.control.hosts import Hosts
from dolium.control.lost import Lost
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.control.questions import Questions
from dolium.control.services import Services
from dolium.drivers import load
from dolium.drivers.fence.base import Driver as Fence
from dolium.drivers.network.base import Driver
from dolium.link.local import LocalControl, LocalHosts
from dolium.model.clock import SystemClock
from dolium.model.metric import Meter, Source
from dolium.placing import pick
from dolium.store.store import Store

LOG = logging.getLogger(__name__)
BOOT = Path("/proc/sys/kernel/random/boot_id")


def pool_v6(deployment: str) -> str:
    """A unique local /48 of this installation (RFC 4193), the same at every start."""
    digits = hashlib.sha256(deployment.encode()).hexdigest()[:10]
    return f"fd{digits[:2]}:{digits[2:6]}:{digits[6:]}::/48"


def network_driver(config: conf.Config, deployment: str) -> Driver:
    """The control side's network driver."""
    kind = load("network", config.network.driver)
    pools = kind.Options(
        pool_v4=config.network.pool_v4,
        pool_v6=config.network.pool_v6 or pool_v6(deployment),
    )
    made: Driver = kind(pools)
    return made


def policy(placing: conf.Placing) -> pick.Policy:
    """What decides among hosts that will do."""
    kind = load("placing", placing.policy)
    made: pick.Policy = kind(kind.Options(samples=placing.samples))
    return made


def place(told: conf.Place) -> Place:
    """Where this host stands."""
    return Place(
        region=told.region,
        zone=told.zone,
        rack=told.rack,
        hypervisor=told.hypervisor,
        labels=told.labelled(),
        enable_cpu_pinning=told.enable_cpu_pinning,
    )


def fences(config: conf.Config) -> list[Fence]:
    """The drivers that are asked whether a silent host is off, in their order."""
    made: list[Fence] = []
    for name in config.hosts.fence:
        kind = load("fence", name)
        group = getattr(config, f"fence_{name}", None)
        made.append(kind(kind.Options(**msgspec.structs.asdict(group)) if group else None))
    return made


class Control:
    """Api and conductor."""

    def __init__(
        self,
        config: conf.Config,
        store: Store,
        deployment: str,
        auth: Auth,
        tls: Tls | None = None,
    ) -> None:
        clock, rng, meter = SystemClock(), random.Random(), store.meter
        self.registry = watching.of_store(
            store, (Source.API, Source.CONDUCTOR, Source.AGENT), clock
        )
        self.link = LocalHosts()
        self.networks = Networks(store, network_driver(config, deployment))
        self.heartbeats = Heartbeats(store, clock)
        self.hosts = Hosts(store, clock, config.placing, deployment, self.heartbeats.heard)
        placer = Placer(
            store, clock, self.networks, rng, policy=policy(config.placing), meter=meter
        )
        containers = Containers(
            store,
            clock,
            config.quota,
            rng,
            tenant_runtime=config.engine.tenant_runtime,
            place=placer.follow,
        )
        questions = Questions(self.link, config.engine.execute_timeout_s)
        lost = Lost(store, clock, config.hosts, fences(config), meter=meter)
        self.conductor = Conductor(store, clock, placer, lost)
        self.registry.check("conductor", self.conductor.check)
        self.policy = Policy(config.api.policy_file)
        self.server = Server(
            app.make(
                containers,
                questions,
                self.networks,
                Services(store, clock),
                auth,
                self.policy,
                config,
                registry=self.registry,
            ),
            config.api.listen,
            config.api.port,
            config.api.threads,
            tls.context if tls else None,
            meter,
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

    def agent(self, control: Control) -> Agent:
        """The agent itself, on the local link."""
        config = self._config
        made = Agent(
            LocalControl(control.hosts),
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
                lease_s=config.hosts.lease_s,
            ),
            self._meter,
        )
        watching.agent(control.registry, made)
        control.link.join(config.host, made)
        return made

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
