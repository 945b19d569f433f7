"""The clients people have, imported once: each command line is run by a fork of this process.

    warm.py        by the interpreter of .venv-clients

Reads requests and writes answers, a JSON object a line. What runs is the clients' own function
behind their console scripts; only what an interpreter needs to start and import is saved, which
is most of the time that a command takes.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

LONGEST_S = 120
GROUPS = ("openstack.", "cliff.formatter.", "keystoneauth1.plugin")
"""Beginnings of the groups of plugins that `openstack` imports for each command."""


def _programs() -> dict[str, Callable[[], Any]]:
    found = entry_points()
    for group in found.groups:
        for plugin in found.select(group=group) if group.startswith(GROUPS) else ():
            with suppress(Exception):  # some need what is not installed: Kerberos, SAML
                plugin.load()
    scripts = found.select(group="console_scripts")
    return {name: scripts[name].load() for name in ("zun", "openstack")}


def _become(request: dict[str, Any], output: int) -> None:
    """In the fork: a process as a shell would have started it."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, mine in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, mine)
    sys.stdin = os.fdopen(0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["program"], *request["arguments"]]
    signal.alarm(LONGEST_S)


def _end(program: Callable[[], Any]) -> None:
    """Run it and end as its console script would, without taking the imported modules apart."""
    try:
        status = program()
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def main() -> None:
    """Serve until there are no more requests."""
    programs = _programs()
    gc.freeze()  # what is imported is no garbage of forks
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _become(request, writing)
            _end(programs[request["program"]])
        os.close(writing)
        with os.fdopen(reading, errors="replace") as output:
            said = output.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        answers.write(json.dumps({"status": status, "output": said}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
