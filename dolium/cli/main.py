"""The `dolium` command: arguments in, one clear sentence out when something is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from dolium import __version__, conf, errors
from dolium.model.placing import LEVELS


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except errors.Error as error:
        sys.stderr.write(f"dolium: {error}\n")
        return 1
    except BrokenPipeError:  # who reads what is printed has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that is somebody else's: nothing of ours
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"dolium: {where}{error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dolium",
        description="Containers as resources of an OpenStack cloud, in one service.",
        epilog="Start with `dolium up`; everything it needs it brings along.",
    )
    parser.add_argument("--version", action="version", version=f"dolium {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def bare(name: str, run: object, about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(run=run)
        return command

    def add(name: str, run: object, about: str) -> argparse.ArgumentParser:
        command = bare(name, run, about)
        command.add_argument(
            "--state-dir",
            metavar="DIR",
            default=os.environ.get("DOLIUM_STATE_DIR"),
            help="where everything is kept (default: /var/lib/dolium, or $DOLIUM_STATE_DIR)",
        )
        command.add_argument(
            "--config",
            metavar="FILE",
            action="append",
            default=[],
            help="configuration file; none is needed (options: docs/reference/configuration.md)",
        )
        return command

    _of_one_machine(add)
    _of_a_cloud(add)
    _of_users(bare)
    return parser


Add = Callable[[str, object, str], argparse.ArgumentParser]
"""Adds a command: its name, what it runs, what it is for."""


def _of_one_machine(add: Add) -> None:
    add("up", _up, "start everything in the foreground; Ctrl-C or `dolium down` stops it")
    status = add("status", _status, "show what runs; exit status 1 when Dolium does not answer")
    status.add_argument("--json", action="store_true", help="for programs")
    add("down", _down, "stop what `dolium up` started and take back what it changed")
    add("engine", _engine, "print the address of the engine in use, for DOCKER_HOST")
    gateway = add("gateway", _gateway, "print the gateway of a project's default network")
    gateway.add_argument("--project", metavar="ID", help="default: the demo project")


def _of_a_cloud(add: Add) -> None:
    serve = add("serve", _serve, "run one role of a cloud of many machines in the foreground")
    serve.add_argument(
        "--role",
        required=True,
        choices=["api", "conductor", "wsproxy", "agent"],
        help="api, conductor and wsproxy: any number of each, on a database server; "
        "agent: one per host",
    )
    authority = add("ca", _ca, "make the CA that certifies hosts and control processes")
    authority.add_argument("what", choices=["init"])
    _host_words(add("host", _host, "look at hosts, let one in, spare one, say that one is gone"))
    enrol = add(
        "enrol", _enrol, "on a host: turn a token of `dolium host token` into a certificate"
    )
    enrol.add_argument(
        "--token-file", metavar="FILE", help="where the token is; - is standard input"
    )
    enrol.add_argument(
        "--url",
        metavar="URL",
        action="append",
        default=[],
        help="a control process (default: [link] url)",
    )
    why = add("why", _why, "say why a container is on its host, or on none")
    why.add_argument("container", help="id or name")
    why.add_argument("--json", action="store_true", help="for programs")
    radius = add(
        "blast-radius", _blast_radius, "say what the loss of a failure domain would take down"
    )
    radius.add_argument("level", choices=[*LEVELS])
    radius.add_argument("name", help="such as r1, or nova/r1 where two are called r1")
    radius.add_argument("--json", action="store_true", help="for programs")
    database = add("db", _db, "look at the database or bring it to this version's schema")
    database.add_argument(
        "what",
        choices=["sync", "version", "check"],
        help="sync: make or upgrade it; version: print its schema's; "
        "check: exit status 1 unless this Dolium can work with it",
    )

    policy = add("policy", _policy, "print the rules of the API, or check a file of them")
    policy.add_argument(
        "what",
        choices=["sample", "check"],
        help="sample: every rule with its default, commented out; "
        "check: exit status 1 when a rule of the file is none",
    )
    policy.add_argument("file", metavar="FILE", nargs="?", help="default: [api] policy_file")


def _of_users(add: Add) -> None:
    """They ask the API of a cloud, as its users; nothing of Dolium need be on their machine."""
    logs = add("logs", _logs, "print what a container writes")
    logs.add_argument("container", metavar="CONTAINER", help="id or name")
    logs.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on as it comes, over restarts and lost connections, until the container has ended",
    )
    logs.add_argument(
        "-t", "--timestamps", action="store_true", help="begin each line with its time"
    )
    logs.add_argument("--tail", metavar="N", default="all", help="only the last N lines of before")
    logs.add_argument(
        "--since",
        metavar="TIME",
        help="only what was written since: seconds since the epoch, or YYYY-MM-DD HH:MM:SS in UTC",
    )
    events = add("events", _events, "print changes of the project's containers as they happen")
    events.add_argument(
        "--since",
        metavar="REVISION",
        type=int,
        help="begin with those after a revision (default: with what happens from now on)",
    )
    events.add_argument("--json", action="store_true", help="for programs: an object on each line")
    for command in (logs, events):
        command.add_argument(
            "--os-cloud",
            metavar="NAME",
            help="a cloud of clouds.yaml (default: $OS_CLOUD, or the OS_* variables of an openrc)",
        )


def _host_words(host: argparse.ArgumentParser) -> None:
    host.add_argument(
        "what",
        choices=[
            *("list", "show", "token", "revoke", "enable", "disable"),
            *("drain", "force-down", "heal"),
        ],
    )
    host.add_argument(
        "name", metavar="HOST", nargs="?", help="its name, [DEFAULT] host there; `list` needs none"
    )
    host.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=int,
        default=3600,
        help="with `token`: how long it is good",
    )
    host.add_argument("--reason", metavar="TEXT", help="why it is disabled or drained")
    host.add_argument(
        "--proven",
        action="store_true",
        help="with `force-down`: nothing runs on it any more, for certain and at once",
    )
    host.add_argument("--unset", action="store_true", help="with `force-down`: take that back")
    host.add_argument("--json", action="store_true", help="for programs")


def config_of(arguments: argparse.Namespace) -> conf.Config:
    """The configuration that the arguments name."""
    overrides = {}
    if arguments.state_dir:
        overrides["default"] = {"state_dir": str(Path(arguments.state_dir).resolve())}
    return conf.load([Path(file) for file in arguments.config], **overrides)


# Each command imports what it needs when it runs: `dolium status` must not load a database.


def _up(arguments: argparse.Namespace) -> int:
    from dolium.cli import up

    return up.run(config_of(arguments))


def _status(arguments: argparse.Namespace) -> int:
    from dolium.cli import status

    return status.run(config_of(arguments), as_json=arguments.json)


def _down(arguments: argparse.Namespace) -> int:
    from dolium.cli import down

    return down.run(config_of(arguments))


def _engine(arguments: argparse.Namespace) -> int:
    from dolium.cli import status

    sys.stdout.write(f"unix://{status.running(config_of(arguments)).engine_socket}\n")
    return 0


def _gateway(arguments: argparse.Namespace) -> int:
    from dolium.cli import status

    sys.stdout.write(f"{status.gateway(config_of(arguments), arguments.project)}\n")
    return 0


def _why(arguments: argparse.Namespace) -> int:
    from dolium.cli import domains

    return domains.why(config_of(arguments), arguments.container, as_json=arguments.json)


def _blast_radius(arguments: argparse.Namespace) -> int:
    from dolium.cli import domains

    return domains.blast_radius(
        config_of(arguments), arguments.level, arguments.name, as_json=arguments.json
    )


def _serve(arguments: argparse.Namespace) -> int:
    from dolium.cli import serve

    return serve.run(config_of(arguments), arguments.role)


def _ca(arguments: argparse.Namespace) -> int:
    from dolium.cli import enrolments

    return enrolments.found(config_of(arguments))


def _host(arguments: argparse.Namespace) -> int:
    from dolium.cli import enrolments, host

    config = config_of(arguments)
    if arguments.what != "list" and arguments.name is None:
        raise errors.Conflict(why=f"`dolium host {arguments.what}` needs the name of a host")
    if arguments.what == "token":
        return enrolments.offer(config, arguments.name, arguments.ttl)
    if arguments.what == "revoke":
        return enrolments.revoke(config, arguments.name)
    word = host.Word(
        what=arguments.what,
        name=arguments.name,
        reason=arguments.reason,
        proven=arguments.proven,
        unset=arguments.unset,
        as_json=arguments.json,
    )
    return host.run(config, word)


def _enrol(arguments: argparse.Namespace) -> int:
    from dolium.cli import enrolments

    return enrolments.enrol(config_of(arguments), arguments.url, arguments.token_file)


def _logs(arguments: argparse.Namespace) -> int:
    from dolium.cli import container_logs

    asked = container_logs.Asked(
        container=arguments.container,
        follow=arguments.follow,
        timestamps=arguments.timestamps,
        tail=arguments.tail,
        since=arguments.since,
    )
    return container_logs.run(arguments.os_cloud, asked)


def _events(arguments: argparse.Namespace) -> int:
    from dolium.cli import events

    return events.run(arguments.os_cloud, arguments.since, as_json=arguments.json)


def _db(arguments: argparse.Namespace) -> int:
    from dolium.cli import database
    from dolium.store import connect, schema, upgrade

    place = database.place(config_of(arguments))
    if arguments.what == "version":
        sys.stdout.write(f"{upgrade.version(place) or 'there is no database yet'}\n")
    elif arguments.what == "check":
        found = upgrade.check(place)
        which = "this Dolium's schema" if found == schema.HEAD else f"schema {found}, newer and fit"
        sys.stdout.write(f"{connect.shown(place)} has {which}\n")
    else:
        sys.stdout.write(f"{upgrade.upgrade(place) or 'nothing to do'}\n")
    return 0


def _policy(arguments: argparse.Namespace) -> int:
    from dolium.cli import policy

    if arguments.what == "sample":
        return policy.write_sample()
    return policy.check(arguments.file or config_of(arguments).api.policy_file)


if __name__ == "__main__":
    sys.exit(main())
