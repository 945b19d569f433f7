"""`dolium status`: what runs, what there is, and what has been under way for longest."""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from dolium import conf, errors
from dolium.cli.state import Running, State

ANSWER_S = 5.0


def run(config: conf.Config, *, as_json: bool) -> int:
    """Print it; 0 when everything answers."""
    state = State(config.state_dir)
    told = state.running()
    report: dict[str, Any] = {"state_dir": str(state.folder), "running": told is not None}
    if told is not None:
        report |= _answers(told) | _contents(config, state)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(report)
    healthy = told is not None and all(part["answers"] for part in report["parts"].values())
    return 0 if healthy else 1


def running(config: conf.Config) -> Running:
    """What a running Dolium told; raises StartError when none runs."""
    told = State(config.state_dir).running()
    if told is None:
        raise errors.StartError(
            why=f"No Dolium runs with the state directory {config.state_dir}; try `dolium up`"
        )
    return told


def gateway(config: conf.Config, project_id: str | None) -> str:
    """The IPv4 gateway of a project's default network, known before the network is made."""
    from dolium.cli.roles import network_driver
    from dolium.cli.up import keystone_of
    from dolium.clients import identity
    from dolium.control.networks import Networks
    from dolium.store import deployments
    from dolium.store.connect import connect

    running(config)
    state = State(config.state_dir)
    demo = keystone_of(config, state).credentials("demo")
    project = project_id or identity.project_of(
        demo.auth_url, demo.username, demo.password, demo.project_name, demo.domain_name
    )
    store = connect(config.database, state.database)
    try:
        driver = network_driver(config, deployments.ensure(store, time.time()))
        network = Networks(store, driver).default(project)
    finally:
        store.close()
    return next(subnet.gateway for subnet in network.subnets if subnet.version == 4)


def _answers(told: Running) -> dict[str, Any]:
    parts = {
        "api": (told.api, _http(told.api.removesuffix("/v1") + "/healthcheck")),
        "identity": (told.identity, _http(told.identity)),
        "engine": (told.engine_socket, _engine(told.engine_socket)),
    }
    return {
        "pid": told.pid,
        "own_engine": told.own_engine,
        "parts": {name: {"at": at, "answers": ok} for name, (at, ok) in parts.items()},
    }


def _http(url: str) -> bool:
    where = urlsplit(url)
    if where.scheme == "https":
        import ssl

        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE  # nothing is told, only whether somebody answers
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            where.netloc, timeout=ANSWER_S, context=blind
        )
    else:
        connection = http.client.HTTPConnection(where.netloc, timeout=ANSWER_S)
    try:
        connection.request("GET", where.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _engine(socket: str) -> bool:
    from dolium.drivers.engine.docker import Docker

    engine = Docker(Docker.Options(socket=socket))
    try:
        engine.facts()
    except errors.DriverError:
        return False
    finally:
        engine.close()
    return True


def _contents(config: conf.Config, state: State) -> dict[str, Any]:
    from dolium.store import overview
    from dolium.store.connect import connect

    store = connect(config.database, state.database)
    try:
        with store.read() as connection:
            found = overview.read(connection)
    finally:
        store.close()
    return {
        "containers": found.containers,
        "hosts": found.hosts,
        "open_actions": found.open_actions,
        "oldest_open_action_s": round(time.time() - found.oldest, 1) if found.oldest else None,
    }


def _print(report: dict[str, Any]) -> None:
    say = sys.stdout.write
    if not report["running"]:
        say(f"Dolium does not run with {report['state_dir']}; start it with `dolium up`.\n")
        return
    say(f"Dolium runs (pid {report['pid']}) with {report['state_dir']}\n")
    for name, part in report["parts"].items():
        mark = "answers" if part["answers"] else "DOES NOT ANSWER"
        own = " (started by Dolium)" if name == "engine" and report["own_engine"] else ""
        say(f"  {name:<10} {mark:<8} {part['at']}{own}\n")
    hosts = ", ".join(report["hosts"]) or "none yet"
    say(f"  {'hosts':<10} {hosts}\n")
    counts = ", ".join(f"{n} {status}" for status, n in sorted(report["containers"].items()))
    say(f"  {'containers':<10} {counts or 'none'}\n")
    if report["open_actions"]:
        say(
            f"  {'actions':<10} {report['open_actions']} under way, "
            f"the oldest for {report['oldest_open_action_s']} s\n"
        )
