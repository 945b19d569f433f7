"""What a process does inside the fake engine: a few programs and a crumb of shell, no time of
its own. Enough that the conformance suite can ask the fake what it asks real engines.
"""

from __future__ import annotations

import re
import shlex
from math import inf

from msgspec import Struct, field

SERVICES = frozenset({"httpd", "nginx", "server", "tail", "top"})
"""Programs that run until they are told to end, and do end on SIGTERM."""
READERS = frozenset({"cat", "sh"})
"""Programs that end at once unless somebody may still type something."""

_LOOP = re.compile(r"while\s+(?:true|:)\s*;\s*do\b.*?\bdone", re.DOTALL)
_TRAP = re.compile(r"trap\s+(?P<action>'[^']*'|\"[^\"]*\"|\S+)\s+(?:SIG)?TERM")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


class NoProgram(Exception):
    """The image has no such program."""


class Line(Struct, frozen=True):
    """One piece of output, `at` seconds after the start."""

    at: float
    stream: str
    text: bytes


class Plan(Struct):
    """What a process will do if nobody interferes."""

    lines: list[Line] = field(default_factory=list)
    lasts: float = 0.0
    """Seconds until it exits; inf: it does not."""
    exit_code: int = 0
    on_term: int | None = None
    """Exit code after SIGTERM; None: it ignores it, as the kernel lets a PID 1 without handler."""


def plan(argv: list[str], environment: dict[str, str], interactive: bool = False) -> Plan:
    """What `argv` does; raises NoProgram when nothing of that name is there."""
    program = argv[0].rsplit("/", 1)[-1] if argv else "sh"
    if program == "sh" and argv[1:2] == ["-c"]:
        return _script(argv[2] if len(argv) > 2 else "", environment)
    made = Plan()
    if program in READERS:
        made.lasts = inf if interactive else 0.0
    elif program in SERVICES:
        made.lasts, made.on_term = inf, 0
    else:
        _step(made, [program, *argv[1:]], environment)
    return made


def _script(text: str, environment: dict[str, str]) -> Plan:
    made = Plan()
    if trap := _TRAP.search(text):
        action = trap["action"].strip("'\"")
        code = re.search(r"exit\s+(\d+)", action)
        made.on_term = int(code[1]) if code else None
        text = text.replace(trap[0], "")
    text = _LOOP.sub("sleep inf", text)
    for part in re.split(r"[;\n]|&&", text):
        words = shlex.split(part)
        if words and words[0] == "exec":
            words = words[1:]
        if not words:
            continue
        if words[0] == "exit":
            made.exit_code = int(words[1]) if len(words) > 1 else made.exit_code
            break
        try:
            _step(made, words, environment)
        except NoProgram:
            made.lines.append(Line(made.lasts, "stderr", f"sh: {words[0]}: not found\n".encode()))
            made.exit_code = 127
        if made.lasts == inf:
            break
    return made


def _step(made: Plan, words: list[str], environment: dict[str, str]) -> None:
    made.exit_code = 0
    match words[0]:
        case "true" | ":":
            pass
        case "false":
            made.exit_code = 1
        case "sleep":
            made.lasts += float("inf" if words[1] == "infinity" else words[1])
        case "echo":
            stream = "stderr" if ">&2" in words else "stdout"
            text = " ".join(word for word in words[1:] if word != ">&2")
            text = _VARIABLE.sub(lambda found: environment.get(found[1], ""), text)
            made.lines.append(Line(made.lasts, stream, text.encode() + b"\n"))
        case program if program in SERVICES:
            made.lasts = inf
        case program:
            raise NoProgram(program)
