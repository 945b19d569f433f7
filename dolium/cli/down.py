"""`dolium down`: ask the running `dolium up` to stop, or clear away what one that was killed, or an
agent that has ended, left on this machine.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dolium import conf, errors
from dolium.agent import ready
from dolium.beside.process import look
from dolium.cli.machine import Host, engine_of
from dolium.cli.state import Running, State
from dolium.cli.up import keystone_of
from dolium.link import https_agent
from dolium.model.container import State as Seen
from dolium.store import deployments
from dolium.store.connect import connect

LIVE = (Seen.RUNNING, Seen.PAUSED)
STOP_CONTAINER_S = 10
STOP_S = 180.0
"""Containers get their time to stop, ten at once."""


def run(config: conf.Config) -> int:
    """Stop it; nothing to stop is fine."""
    state = State(config.state_dir)
    told = state.running()
    if told is not None:
        _ask(told)
        sys.stdout.write("Dolium has stopped; its containers come back with `dolium up`.\n")
        return 0
    if not state.folder.exists():
        sys.stdout.write("Dolium does not run.\n")
        return 0
    with state.held():
        left = _clear(config, state)
    state.untell()
    said = f"ended what it had left: {', '.join(left)}" if left else "nothing was left"
    sys.stdout.write(f"Dolium does not run; {said}.\n")
    return 0


def _ask(told: Running) -> None:
    os.kill(told.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while (process := look(told.pid)) and process.started == told.started:
        if time.monotonic() > deadline:
            raise errors.StartError(why=f"Dolium (pid {told.pid}) has not stopped yet; look again")
        time.sleep(0.05)


def _clear(config: conf.Config, state: State) -> list[str]:
    """End the processes that a killed Dolium left behind, each known by pid and start time."""
    left = []
    keystone = keystone_of(config, state)
    if keystone.process.adopt():
        keystone.stop()
        left.append("Keystone")
    deployment = _deployment(config, state)
    if deployment is None:
        return left
    beside = engine_of(config, state, deployment)
    host = Host(config, state.agent, deployment)
    host.prepare()
    idle = beside.idle()
    if not idle:  # one that was killed too is started again: it is needed to stop what runs
        beside.start()
        left += ["an engine"] if beside.ours else []
    host.join(beside.socket)
    left += [] if idle else _rest(host, deployment)
    host.unwire(engine_too=not idle and not beside.ours)
    beside.stop()
    host.close()
    return left


def _deployment(config: conf.Config, state: State) -> str | None:
    """Whose containers are here: of a database, or of who enrolled this host; None: nobody's."""
    if state.database.exists() or (config.database.connection and state.has_agent):
        store = connect(config.database, state.database)
        try:
            return deployments.ensure(store, time.time())
        finally:
            store.close()
    return https_agent.read(config.link_dir).deployment if state.has_agent else None


def _rest(host: Host, deployment: str) -> list[str]:
    """Stop what runs of ours, all at once; the next start brings it back. What nobody has goes."""
    ready.remove(host.engine, deployment)
    running = [s.handle for s in host.engine.listing(deployment) if s.state in LIVE]
    with ThreadPoolExecutor(max(1, len(running))) as pool:
        list(pool.map(lambda handle: host.engine.stop(handle, STOP_CONTAINER_S), running))
    return [f"{len(running)} containers"] if running else []
