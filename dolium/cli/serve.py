"""`dolium serve --role …`: one role of a cloud of many machines, in the foreground.

Killing any of them at any time is fine; whatever it was at goes on elsewhere or at its next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
from collections.abc import Callable

from dolium import conf
from dolium.beside.errors import NotRoot
from dolium.cli import logs, spared
from dolium.cli.ending import told
from dolium.model.clock import SystemClock

LOG = logging.getLogger(__name__)


def run(config: conf.Config, role: str) -> int:
    """Start the role, tell systemd, wait until somebody ends it, stop in order."""
    spared.spare()
    ending = told()
    logs.begin(config, role=role)
    with contextlib.ExitStack() as stack:
        ROLES[role](config, stack)
        LOG.info("%s is ready", role)
        _notify("READY=1")
        ending.wait()
        _notify("STOPPING=1")
        LOG.info("%s stops", role)
    return 0


# Each role loads what it needs: an agent has neither a database nor an API in its memory.


def _api(config: conf.Config, stack: contextlib.ExitStack) -> None:
    from dolium.cli import control

    control.api(config, stack)


def _conductor(config: conf.Config, stack: contextlib.ExitStack) -> None:
    from dolium.cli import control

    control.conductor(config, stack)


def _agent(config: conf.Config, stack: contextlib.ExitStack) -> None:
    """Containers, and an engine of our own, live on when it ends: the next agent finds them."""
    from dolium.cli import watching
    from dolium.cli.machine import Host, engine_of
    from dolium.cli.state import State
    from dolium.link.https_agent import HostEnd
    from dolium.metrics.registry import Registry
    from dolium.model.metric import Meter, Source

    if os.geteuid() != 0:
        raise NotRoot(command="dolium serve --role agent")
    state = State(config.state_dir)
    stack.enter_context(state.held())
    link, meter = config.link, Meter()
    end = HostEnd(
        config.link_dir,
        config.host,
        link.url,
        random.Random(),
        SystemClock(),
        link.agent_listen,
        link.agent_port,
        link.agent_address,
        meter=meter,
    )
    stack.callback(end.stop)
    host = Host(config, state.agent, end.deployment, meter)
    stack.callback(host.close)
    host.prepare()  # Docker asks its plugins while it starts: they listen before
    beside = engine_of(config, state, end.deployment)
    LOG.info("engine: %s", beside.start())
    host.join(beside.socket)
    agent = host.agent(end.control)
    end.serve(agent)
    agent.start()
    stack.callback(agent.stop)
    registry = Registry(meter, (Source.AGENT, Source.LINK))
    watching.agent(registry, agent)
    if figures := watching.beside(config, "agent", registry):
        figures.start()
        stack.callback(figures.stop)
    beside.watch(lambda sentence: LOG.warning("%s", sentence))


def _wsproxy(config: conf.Config, stack: contextlib.ExitStack) -> None:
    from dolium.cli import control

    control.wsproxy(config, stack)


ROLES: dict[str, Callable[[conf.Config, contextlib.ExitStack], None]] = {
    "api": _api,
    "conductor": _conductor,
    "agent": _agent,
    "wsproxy": _wsproxy,
}


def _notify(state: str) -> None:
    """Tell systemd, where it started us (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out, contextlib.suppress(OSError):
        out.sendto(state.encode(), f"\0{path[1:]}" if path.startswith("@") else path)
