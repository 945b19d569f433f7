"""What only the host knows: logs, processes, usage, files, and commands run inside a container."""

from __future__ import annotations

import shlex
from typing import Any

from dolium import conf, errors
from dolium.control.containers import asked
from dolium.link.base import Hosts
from dolium.model import record, trace
from dolium.model.container import Status
from dolium.model.context import Context
from dolium.model.wish import Question


class Questions:
    """Put to the container's host over the link; nothing of it is stored."""

    def __init__(
        self, link: Hosts, execute_timeout_s: float, limits: conf.Limits | None = None
    ) -> None:
        self._link = link
        self._most_archive = (limits or conf.Limits()).archive
        self._timeout_s = execute_timeout_s

    def _ask(self, row: record.Container, what: str, params: dict[str, Any]) -> Any:
        return ask(self._link, asked(row, what), question(row, what, params))

    def execute(self, context: Context, row: record.Container, command: str) -> dict[str, Any]:
        """Run a command to its end; both output streams together."""
        params = {"argv": words(command), "timeout": self._timeout_s}
        done = self._ask(row, "execute", params)
        return {
            "output": done["output"],
            "exit_code": done["exit_code"],
            "exec_id": None,
            "proxy_url": None,
        }

    def logs(self, context: Context, row: record.Container, **params: Any) -> str:
        """The output so far; empty for a container that never got to a host."""
        if row.host is None and row.status == Status.ERROR:
            return ""
        return str(self._ask(row, "logs", params))

    def top(
        self, context: Context, row: record.Container, ps_args: str | None = None
    ) -> dict[str, Any]:
        """The processes inside."""
        found: dict[str, Any] = self._ask(row, "top", {"ps_args": ps_args})
        return found

    def get_archive(self, context: Context, row: record.Container, path: str) -> dict[str, Any]:
        """`data`, a tar of what is there in base 64, and `stat`, what it is."""
        params = {"path": path, "most": self._most_archive}
        found: dict[str, Any] = self._ask(row, "get_archive", params)
        return found

    def put_archive(self, context: Context, row: record.Container, path: str, data: str) -> None:
        """Unpack a tar, given in base 64, in a folder."""
        self._ask(row, "put_archive", {"path": path, "data": data})

    def stats(self, context: Context, row: record.Container) -> dict[str, Any]:
        """Usage in the API's seven keys. CPU is the share of all CPUs since the start."""
        usage = self._ask(row, "stats", {})
        limit = usage["memory_limit"] or 1
        return {
            "CONTAINER": row.name,
            "CPU %": 100 * usage["cpu_ns"] / (usage["system_cpu_ns"] or 1),
            "MEM USAGE(MiB)": usage["memory"] / 2**20,
            "MEM LIMIT(MiB)": usage["memory_limit"] / 2**20,
            "MEM %": 100 * usage["memory"] / limit,
            "BLOCK I/O(B)": f"{usage['read']}/{usage['written']}",
            "NET I/O(B)": f"{usage['received']}/{usage['sent']}",
        }


def words(command: str) -> list[str]:
    """A command line as a shell would take it apart; raises Invalid."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise errors.Invalid(field="command", why=f"{error}.") from None
    if not argv:
        raise errors.Invalid(field="command", why="It is empty.")
    return argv


def question(row: record.Container, what: str, params: dict[str, Any]) -> Question:
    """As it goes over the link."""
    return Question(what=what, uuid=row.uuid, params=params, request_id=trace.current())


def ask(link: Hosts, host: str, question: Question) -> Any:
    """The value of a host's answer; raises HostDown, or the error that it answers with."""
    reply = link.ask(host, question)
    if reply.code is not None:
        raise errors.revive(reply.code, reply.facts)
    return reply.value
