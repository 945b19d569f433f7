"""The parts of the control side, as `dolium up` has them all and `dolium serve` one at a time."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import msgspec

from dolium import conf, errors
from dolium.api import app
from dolium.api.auth import Auth
from dolium.api.call import largest
from dolium.api.policy import Policy
from dolium.api.server import Server
from dolium.api.streams import Patient, Streams
from dolium.cli import arbiter, listening
from dolium.cli.keys import cipher_of
from dolium.cli.listening import Tls
from dolium.clients.account import account
from dolium.clients.glance import Glance as GlanceClient
from dolium.clients.nova import Nova
from dolium.control.asking import agree
from dolium.control.capsules import Capsules
from dolium.control.commits import Commits, Uploads
from dolium.control.conductor import Conductor
from dolium.control.consoles import Consoles
from dolium.control.containers import Containers
from dolium.control.following import Following
from dolium.control.glance import Glance
from dolium.control.heartbeats import Heartbeats
from dolium.control.hosts import Hosts
from dolium.control.hypervisors import Hypervisors, forget
from dolium.control.images import Fetcher, Images
from dolium.control.lost import Lost
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.control.questions import Questions
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.control.watching import Watching
from dolium.drivers import load
from dolium.drivers.fence.base import Driver as Fence
from dolium.drivers.network.base import Driver
from dolium.link.base import Hosts as Link
from dolium.metrics.registry import Registry
from dolium.model.clock import SystemClock
from dolium.placing import pick
from dolium.store.store import Follower, Store

if TYPE_CHECKING:
    from dolium.wsproxy.server import Server as Proxy


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


def fences(config: conf.Config) -> list[Fence]:
    """The drivers that are asked whether a silent host is off, in their order."""
    made: list[Fence] = []
    for name in config.hosts.fence:
        kind = load("fence", name)
        group = getattr(config, f"fence_{name}", None)
        made.append(kind(kind.Options(**msgspec.structs.asdict(group)) if group else None))
    return made


def hypervisors(config: conf.Config, store: Store) -> Hypervisors | None:
    """What asks on which physical machines hosts are; None: what their agents say is all."""
    clock = SystemClock()
    if not config.placing.hypervisors:
        forget(store, clock)
        return None
    if not config.fence_nova.auth_url:
        why = "[placing] hypervisors is nova, and [fence_nova] auth_url is not set"
        raise errors.StartError(why=why)
    return Hypervisors(store, clock, random.Random(), Nova(account(config.fence_nova)))


def glance_client(config: conf.Config) -> GlanceClient | None:
    """What asks the cloud's Glance; None where the configuration names none."""
    if not (config.glance.auth_url or config.glance.endpoint):
        return None
    return GlanceClient(account(config.glance))


class Conducting:
    """The conductor, and the placer in it."""

    def __init__(self, config: conf.Config, store: Store, deployment: str, link: Link) -> None:
        """link: the way to hosts."""
        clock, rng = SystemClock(), random.Random()
        networks = Networks(store, network_driver(config, deployment))
        claims = arbiter.claims(config, store, deployment)
        self.placer = Placer(
            store,
            clock,
            networks,
            rng,
            policy=policy(config.placing),
            asks=claims is not None,
            meter=store.meter,
        )
        if claims is None:
            agree(store, clock)  # to what waited for Placement's word when it was configured
        lost = Lost(store, clock, config.hosts, fences(config), meter=store.meter)
        found = hypervisors(config, store)
        fetcher = Fetcher(store, clock, link, rng)
        client = glance_client(config)
        uploads = Uploads(store, clock, link, client, rng) if client else None
        self.conductor = Conductor(store, clock, self.placer, lost, claims, found, fetcher, uploads)


class Hosting:
    """What hosts talk to, in every process that they can reach."""

    def __init__(self, config: conf.Config, store: Store, deployment: str) -> None:
        clock = SystemClock()
        self.heartbeats = Heartbeats(store, clock)
        self.registries = Registries(store, clock, cipher_of(config, store))
        self.glance = Glance(glance_client(config))
        self.hosts = Hosts(
            store,
            clock,
            config.placing,
            deployment,
            self.heartbeats.heard,
            self.registries,
            self.glance,
        )


class Api:
    """The container API."""

    def __init__(
        self,
        config: conf.Config,
        store: Store,
        deployment: str,
        auth: Auth,
        link: Link,
        hosting: Hosting,
        registry: Registry,
        tls: Tls | None = None,
        follow: Follower | None = None,
    ) -> None:
        """link: the way to hosts. follow: places in a wish's own commit, where that is possible."""
        clock, rng = SystemClock(), random.Random()
        containers = Containers(
            store,
            clock,
            config.quota,
            rng,
            tenant_runtime=config.engine.tenant_runtime,
            place=follow,
            claims=arbiter.claims(config, store, deployment),
        )
        capsules = Capsules(
            store, clock, config.quota, rng, config.engine.tenant_runtime, place=follow
        )
        self.policy = Policy(config.api.policy_file)
        streams = Streams(config.api.watchers)
        patient = Patient(link, streams)
        self.server = Server(
            app.make(
                containers,
                capsules,
                Questions(patient, config.engine.execute_timeout_s, config.limits),
                Consoles(store, clock, patient, listening.console_url(config)),
                Following(store, clock, patient),
                Networks(store, network_driver(config, deployment)),
                Services(store, clock),
                Watching(store, clock),
                Quotas(store, config.quota),
                hosting.registries,
                Images(store, clock, patient),
                hosting.glance,
                Commits(store, clock, hosting.glance),
                auth,
                self.policy,
                config,
                registry=registry,
                streams=streams,
            ),
            config.api.listen,
            config.api.port,
            config.api.threads,
            tls.context if tls else None,
            store.meter,
            streams,
            largest(config.limits),
        )


def proxy(
    config: conf.Config, store: Store, link: Link, registry: Registry, tls: Tls | None
) -> Proxy:
    """The websocket proxy; link: the way to hosts."""
    from dolium.wsproxy.server import Options
    from dolium.wsproxy.server import Server as Proxy

    own, url = config.wsproxy, listening.console_url(config)
    options = Options(
        listen=own.listen,
        port=own.port,
        base_url=url,
        allowed_origins=own.allowed_origins,
        consoles=own.consoles,
    )
    opens = Consoles(store, SystemClock(), link, url).open
    made = Proxy(opens, options, tls.context if tls else None, store.meter)
    registry.read(made.figures)
    return made
