"""The processes of the control side that `dolium serve` runs: api, conductor and wsproxy.

Any number of each works on one database. Each finds the others there, wakes them over the link
when it has written something, and looks by itself in case a hint got lost.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import uuid as uuids
from typing import Protocol

from dolium import __version__, conf, errors
from dolium.api.auth import Keystone as Auth
from dolium.api.auth import Options
from dolium.cli import listening, watching
from dolium.cli.database import opened
from dolium.cli.roles import Api, Conducting, Hosting, proxy
from dolium.control.enrolment import Enrolment
from dolium.control.lookout import LOOK_S, Lookout
from dolium.control.members import BEAT_S, Members
from dolium.link.https import HttpsHosts
from dolium.link.https_control import ControlEnd, Own
from dolium.link.keeper import Keeper
from dolium.link.peers import Peers
from dolium.model.clock import SystemClock
from dolium.model.metric import Source
from dolium.store import deployments
from dolium.store.members import Member

LOG = logging.getLogger(__name__)


class Part(Protocol):
    """Something that runs for a while."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End."""
        ...


class Process:
    """What every process of the control side has: the database, a certificate of its own, and
    signs of life. `stack` stops it.
    """

    def __init__(self, config: conf.Config, role: Source, stack: contextlib.ExitStack) -> None:
        if not config.database.connection:
            raise errors.StartError(
                why="[database] connection names no server, which the processes of a cloud share; "
                "`dolium up` is for one machine with a file"
            )
        clock = SystemClock()
        self._config, self._role, self._stack, self._clock = config, role, stack, clock
        self.own = Own(config.ca_dir, f"{role}-{config.host}", clock)
        self.store = stack.enter_context(opened(config))
        self.deployment = deployments.ensure(self.store, clock.now())
        self.enrolment = Enrolment(self.store, clock, self.own, self.deployment)
        self.hosting = Hosting(config, self.store, self.deployment)
        self.registry = watching.of_store(self.store, (role, Source.LINK), clock)
        self.link = HttpsHosts(self.own.identity, self.hosting.hosts.place, self.enrolment.accepts)
        stack.callback(self.link.close)

    def begin(self, *parts: Part | None) -> None:
        """Start parts; they are stopped in the opposite order."""
        for part in parts:
            if part is not None:
                part.start()
                self._stack.callback(part.stop)

    def start(self) -> None:
        """Let others know that this one is here."""
        self._join("")

    def _join(self, address: str) -> Members:
        """address: where the others can wake it; empty: nowhere."""
        me = Member(
            id=str(uuids.uuid4()),
            role=self._role,
            host=self._config.host,
            address=address,
            version=__version__,
            started_at=self._clock.now(),
        )
        members = Members(self.store, self._clock, me)
        members.turn()
        self._stack.callback(members.leave)
        self.begin(Keeper("members", [members.turn], BEAT_S))
        self.begin(watching.beside(self._config, self._role, self.registry))
        return members


class Listening(Process):
    """One that hosts and its like can reach besides, by an end of the link."""

    def __init__(self, config: conf.Config, role: Source, stack: contextlib.ExitStack) -> None:
        super().__init__(config, role, stack)
        self._end = ControlEnd(
            self.hosting.hosts,
            self.own,
            self.enrolment,
            self.store.hints.wake,
            self._clock,
            config.link.listen,
            config.link.conductor_port if role == "conductor" else config.link.port,
            config.link.polls,
            self.store.meter,
        )
        self.registry.read(self._end.figures)

    def start(self) -> None:
        """Let hosts and other control processes in, and tell that this one is here."""
        self.begin(self.hosting.heartbeats, self._end)
        members = self._join(self._address())
        peers = Peers(self.own.identity, members.peers, meter=self.store.meter)
        self.begin(peers)
        self.store.hints.forward = lambda topic: peers.send(topic) if _concerns(topic) else None
        self.begin(
            Keeper("lookout", [Lookout(self.store, self.hosting.hosts.waiting).turn], LOOK_S)
        )

    def _address(self) -> str:
        link = self._config.link
        address = link.address or link.listen
        if address in listening.EVERYWHERE:
            address = socket.getfqdn()
        return f"{address}:{self._end.port}"


def _concerns(topic: str) -> bool:
    """Whether somebody in another process may wait for the topic; nobody does for a project's."""
    return not topic.startswith("project:")


def api(config: conf.Config, stack: contextlib.ExitStack) -> None:
    """The container API, and hosts' way to the control side."""
    auth = Auth(_auth(config.keystone), keep_s=config.api.token_memo_s)
    tls = listening.api_tls(config, SystemClock())
    here = Listening(config, Source.API, stack)
    made = Api(
        config, here.store, here.deployment, auth, here.link, here.hosting, here.registry, tls
    )
    for warm in (auth.warm, made.policy.warm):
        threading.Thread(target=warm, name="warm", daemon=True).start()
    here.start()
    here.begin(made.server, tls)
    LOG.info("the container API is at %s/v1", listening.api_url(config))


def conductor(config: conf.Config, stack: contextlib.ExitStack) -> None:
    """Placing, judging and healing."""
    here = Listening(config, Source.CONDUCTOR, stack)
    made = Conducting(config, here.store, here.deployment, here.link)
    here.registry.check("conductor", made.conductor.check)
    here.start()
    here.begin(made.conductor)


def wsproxy(config: conf.Config, stack: contextlib.ExitStack) -> None:
    """Consoles, for which it needs no way in for hosts: it goes to them."""
    tls = listening.console_tls(config, SystemClock())
    here = Process(config, Source.WSPROXY, stack)
    made = proxy(config, here.store, here.link, here.registry, tls)
    here.enrolment.refresh()
    here.begin(Keeper("link-keeper", [here.own.refresh, here.enrolment.refresh]))
    here.start()
    here.begin(made, tls)
    LOG.info("consoles are at %s", listening.console_url(config))


def _auth(keystone: conf.Keystone) -> Options:
    for name in ("auth_url", "password"):
        if not getattr(keystone, name):
            raise errors.StartError(why=f"[keystone] {name} is missing: the cloud's own Keystone")
    return Options(
        auth_url=keystone.auth_url,
        username=keystone.username,
        password=keystone.password,
        project_name=keystone.project_name,
        user_domain_name=keystone.user_domain_name,
        project_domain_name=keystone.project_domain_name,
        www_authenticate_uri=keystone.public_url,
        cafile=keystone.cafile,
        region_name=keystone.region_name,
    )
