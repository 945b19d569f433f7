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
MOST_READ = 64 * 1024
WELL_OR_NOT = (200, 503)
"""What /healthcheck is answered with."""


def run(config: conf.Config, *, as_json: bool) -> int:
    """Print it; 0 when everything answers."""
    state = State(config.state_dir)
    told = state.running()
    report: dict[str, Any] = {"state_dir": str(state.folder), "running": told is not None}
    if told is not None:
        report |= _answers(told)
    if told is not None or config.database.connection:
        report |= _contents(config)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(report)
    return 0 if _healthy(report) else 1


def _healthy(report: dict[str, Any]) -> bool:
    """Whether `dolium up` is well or, without one, the processes that share a server are."""
    if report["running"]:
        return all(part["answers"] for part in report["parts"].values()) and not report["failing"]
    roles = report.get("roles", [])
    return bool(roles) and all(role["alive"] for role in roles)


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
    health = f"{told.api.removesuffix('/v1')}/healthcheck"
    status, body = _ask(health)
    parts = {
        "api": (told.api, status in WELL_OR_NOT),
        "identity": (told.identity, _http(told.identity)),
        "engine": (told.engine_socket, _engine(told.engine_socket)),
    }
    return {
        "pid": told.pid,
        "own_engine": told.own_engine,
        "parts": {name: {"at": at, "answers": ok} for name, (at, ok) in parts.items()},
        "failing": _failing(body) if status in WELL_OR_NOT else [],
    }


def _failing(body: bytes) -> list[str]:
    """Parts of the process that are not well, as its /healthcheck says."""
    try:
        parts: dict[str, str] = json.loads(body)["parts"]
    except (ValueError, LookupError, TypeError):
        return []
    return [name for name, said in parts.items() if said != "ok"]


def _http(url: str) -> bool:
    return 0 < _ask(url)[0] < 500


def _ask(url: str) -> tuple[int, bytes]:
    """Status and body; 0 when nobody answers."""
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
        reply = connection.getresponse()
        return reply.status, reply.read(MOST_READ)
    except (OSError, http.client.HTTPException):
        return 0, b""
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


def _contents(config: conf.Config) -> dict[str, Any]:
    from dolium.cli import contents
    from dolium.cli.database import opened, place
    from dolium.store.connect import shown

    with opened(config) as store:
        return {"database": shown(place(config)), **contents.read(store)}


def _print(report: dict[str, Any]) -> None:
    from dolium.cli import contents

    say = sys.stdout.write
    if report["running"]:
        say(f"Dolium runs (pid {report['pid']}) with {report['state_dir']}\n")
        _print_parts(report)
    elif "database" in report:
        say(f"Dolium's processes share {report['database']}\n")
        if not report["roles"]:
            say(f"  {'roles':<10} NONE RUNS\n")
    else:
        say(f"Dolium does not run with {report['state_dir']}; start it with `dolium up`.\n")
        return
    for line in contents.lines(report):
        say(f"{line}\n")


def _print_parts(report: dict[str, Any]) -> None:
    for name, part in report["parts"].items():
        mark = "answers" if part["answers"] else "DOES NOT ANSWER"
        own = " (started by Dolium)" if name == "engine" and report["own_engine"] else ""
        sys.stdout.write(f"  {name:<10} {mark:<8} {part['at']}{own}\n")
    if report["failing"]:
        sys.stdout.write(f"  {'FAILING':<10} {', '.join(report['failing'])}; see the log\n")
