"""`dolium up`: everything in one process, with Keystone and an engine beside it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from dolium import conf, errors, priority
from dolium.beside.errors import NotRoot
from dolium.beside.keystone import Keystone
from dolium.beside.process import look
from dolium.cli import listening, logs, spared
from dolium.cli.ending import told
from dolium.cli.state import Running, State
from dolium.model.clock import SystemClock
from dolium.model.metric import Source

if TYPE_CHECKING:
    from dolium.api.auth import Options
    from dolium.beside.engine import Engine
    from dolium.cli.control import Part
    from dolium.cli.roles import Conducting
    from dolium.metrics.registry import Registry
    from dolium.store.store import Store

LOG = logging.getLogger(__name__)
ENROL_S = 60.0


def run(config: conf.Config) -> int:
    """Start everything, wait until somebody ends it, stop everything in order."""
    if os.geteuid() != 0:
        raise NotRoot(command="dolium up")
    spared.spare()
    ending = told()
    state = State(config.state_dir)
    with state.held(), contextlib.ExitStack() as stack:
        logs.begin(config, file=state.log)
        _say("state", f"{state.folder}")
        begun = time.monotonic()
        running = _start(config, state, stack, ending)
        if ending.is_set():
            return 130
        state.tell(running)
        stack.callback(state.untell)
        _welcome(state, running, time.monotonic() - begun)
        ending.wait()
        _say("stop", "containers first, then the rest; containers that ran will be back")
    _say("stop", "done")
    return 0


def _start(
    config: conf.Config, state: State, stack: contextlib.ExitStack, ending: threading.Event
) -> Running:
    """Start the parts in order; `stack` stops them in the opposite one."""
    priority.first()
    listening.check_identity(config)
    api_tls = listening.api_tls(config, SystemClock())
    console_tls = listening.console_tls(config, SystemClock())
    keystone = keystone_of(config, state)
    keystone.launch()  # it loads while the rest starts
    stack.callback(keystone.stop)
    # Half a second of imports, which Keystone, the slowest to start, need not wait for.
    from dolium.api.auth import Keystone as Auth
    from dolium.cli import watching
    from dolium.cli.machine import Host, engine_of
    from dolium.cli.roles import Api, Conducting, Hosting, proxy
    from dolium.link.local import LocalControl, LocalHosts
    from dolium.store import deployments, upgrade
    from dolium.store.connect import connect, shown, where

    place = where(config.database, state.database)
    done = upgrade.upgrade(place)
    _say("database", done or shown(place))
    store = connect(config.database, state.database)
    stack.callback(store.close)
    deployment = deployments.ensure(store, SystemClock().now())

    auth = Auth(_auth(keystone), keep_s=config.api.token_memo_s)
    link, hosting = LocalHosts(), Hosting(config, store, deployment)
    conducting = Conducting(config, store, deployment, link)
    registry = _registry(store, conducting)
    follow = conducting.placer.follow
    api = Api(config, store, deployment, auth, link, hosting, registry, api_tls, follow)
    consoles = proxy(config, store, link, registry, console_tls)
    host = Host(config, state.agent, deployment, store.meter)
    stack.callback(host.close)
    host.prepare()  # Docker asks its plugins while it starts: they listen before
    beside = engine_of(config, state, deployment)
    # While the engine starts, for which this process only waits.
    for warm in (auth.warm, api.policy.warm):
        threading.Thread(target=warm, name="warm", daemon=True).start()
    _say("engine", beside.start())
    stack.callback(beside.stop)
    figures = watching.beside(config, "api", registry)
    parts = (hosting.heartbeats, api.server, api_tls, consoles, console_tls, figures)
    _begin(stack, *parts, conducting.conductor)
    host.join(beside.socket)
    agent = host.agent(LocalControl(hosting.hosts))
    link.join(config.host, agent)
    watching.agent(registry, agent)
    stack.callback(host.unwire, engine_too=not beside.ours)
    agent.start()
    stack.callback(agent.stop, rest=True)
    if not agent.enrolled(ENROL_S):
        raise errors.StartError(why="The engine did not answer the agent; see the log above")
    keystone.wait()
    _say("identity", keystone.auth_url)
    keystone.watch(lambda sentence: LOG.warning("%s", sentence))
    beside.watch(lambda sentence: LOG.warning("%s", sentence))
    return _running(config, keystone, beside)


def _begin(stack: contextlib.ExitStack, *parts: Part | None) -> None:
    for part in parts:
        if part is not None:
            part.start()
            stack.callback(part.stop)


def _registry(store: Store, conducting: Conducting) -> Registry:
    from dolium.cli import watching

    roles = (Source.API, Source.CONDUCTOR, Source.AGENT, Source.WSPROXY)
    made = watching.of_store(store, roles)
    made.check("conductor", conducting.conductor.check)
    return made


def _running(config: conf.Config, keystone: Keystone, beside: Engine) -> Running:
    return Running(
        pid=os.getpid(),
        started=_started(),
        api=f"{listening.api_url(config)}/v1",
        identity=keystone.auth_url,
        engine_socket=str(beside.socket),
        own_engine=beside.ours,
    )


def _auth(keystone: Keystone) -> Options:
    from dolium.api.auth import Options

    service = keystone.credentials("dolium")
    return Options(
        auth_url=service.auth_url,
        username=service.username,
        password=service.password,
        project_name=service.project_name,
        region_name=service.region_name,
    )


def keystone_of(config: conf.Config, state: State) -> Keystone:
    """The Keystone beside this Dolium."""
    return Keystone(
        state.folder,
        address=config.identity.listen,
        port=config.identity.port,
        region=config.identity.region,
        services={"container": f"{listening.api_url(config)}/v1"},
    )


def _started() -> int:
    me = look(os.getpid())
    return me.started if me else 0


def _say(part: str, sentence: str) -> None:
    sys.stdout.write(f"  {part:<10} {sentence}\n")
    sys.stdout.flush()


def _welcome(state: State, running: Running, took: float) -> None:
    _say("api", running.api)
    sys.stdout.write(
        f"\nDolium is ready after {took:.1f} s. In another terminal:\n"
        f"  . {state.folder}/openrc\n"
        "  zun run --name hello cirros ping 127.0.0.1\n"
        "Ctrl-C, or `dolium down` there, stops it.\n"
    )
    sys.stdout.flush()
