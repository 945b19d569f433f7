"""Writes the generated parts of these pages from the code, so that nothing is written twice.

    python docs/generate.py           write them
    python docs/generate.py --check   name the pages that are not current; exit status 1 if any

A page marks such a part by `<!-- generated: NAME -->` and `<!-- end -->` on lines of their own.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import described
from described import table

from dolium.api import faults, rules, versions
from dolium.api.routes import ROUTES
from dolium.cli import main as cli
from dolium.model.container import (
    ASKS,
    DELETE_AFTER_STOP,
    DELETE_FORCE,
    MOVES,
    QUESTIONS,
    Event,
    Status,
    Task,
)
from dolium.model.metric import METRICS, Source
from tests.live.commands import PHASES, Row

HERE = Path(__file__).parent
PART = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COMMON = ("state_dir", "config")
"""Options that every command has."""
ORDER = sorted(
    Status,
    key="Creating Created Running Paused Restarting Rebuilding Stopped Error Unknown Dead Deleting "
    "Deleted".split().index,
)
"""Statuses as a container may meet them."""
ALWAYS = {"create", "update", "delete"}
"""Verbs whose routes are those of the container itself."""


# --- the command line ------------------------------------------------------------------------


def _commands() -> dict[str, argparse.ArgumentParser]:
    parser = cli._parser()
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def _option(action: argparse.Action) -> list[str]:
    name = ", ".join(action.option_strings) or action.dest
    if action.choices:
        name += " " + " or ".join(map(str, action.choices)) if action.option_strings else ""
    elif action.nargs != 0 and action.metavar:
        name += f" {action.metavar}"
    about = action.help or " or ".join(f"`{choice}`" for choice in action.choices or ())
    return [f"`{name}`", about]


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest != "help"]


def command_line() -> str:
    """Every command with the options that only it has."""
    commands = _commands()
    common = [a for a in _options(commands["up"]) if a.dest in COMMON]
    page = [
        "Options of every command but `logs` and `events`:\n",
        table(["option", "what it does"], map(_option, common)),
    ]
    for name, parser in commands.items():
        page.append(f"## dolium {name}\n\n{_sentence(parser.description or '')}\n")
        own = [a for a in _options(parser) if a.dest not in COMMON]
        if own:
            page.append(table(["option", "what it does"], map(_option, own)))
    return "\n".join(page)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


# --- the API ---------------------------------------------------------------------------------


def routes() -> str:
    """Every route with its versions, its rule and what the code says about it."""
    rows = []
    for route in ROUTES:
        span = "any"
        if (route.since, route.until) != (versions.LOW, versions.HIGH):
            span = f"{versions.named(route.since)} to {versions.named(route.until)}"
        said = (route.answer.__doc__ or "").partition("\n")[0]
        query = re.search(r"\?[\w=&]+", said)
        path = f"{route.path}{query[0] if query else ''}"
        about = re.split("[:;,]", said, maxsplit=1)[1:]
        about = [_sentence(part.strip()) for part in about] or [""]
        rule = f"`{route.rule}`" if route.rule else "no token"
        rows.append([f"`{route.verb} {path}`", span, rule, *about])
    return table(["route", "versions", "rule", "notes"], rows)


def policy() -> str:
    """Every rule of what is served now, with its default."""
    served = tuple(route.rule for route in ROUTES if route.rule)
    every = (*rules.CONTAINERS, *rules.OTHERS)
    known = [rule for rule in every if rule.name.startswith((*served, "container:act"))]
    rows = [[f"`{rule.name}`", f"`{rule.default}`", rule.about] for rule in (*rules.BASES, *known)]
    return table(["rule", "default", "what it is for"], rows)


def codes() -> str:
    """Errors with their HTTP status and the code a client sees."""
    rows = []
    for kind, name in faults.NAMES.items():
        about = (kind.__doc__ or "").partition("\n")[0]
        rows.append([str(kind.status), f"`container.{name}`", about])
    for kind_of_thing, name in faults.KINDS.items():
        rows.append(["404", f"`container.{name}`", f"No such {kind_of_thing.lower()}."])
    return table(["status", "code", "when"], sorted(rows, key=lambda row: (row[0], row[1])))


# --- states ----------------------------------------------------------------------------------


def _names(statuses: Iterable[Status]) -> str:
    return ", ".join(str(status) for status in ORDER if status in set(statuses)) or "none"


def _served() -> set[str]:
    """The last parts of all paths."""
    return {route.path.rpartition("/")[2] for route in ROUTES}


def asks() -> str:
    """What can be asked in which status, and what asking does."""
    rows = []
    for verb, ask in ASKS.items():
        if verb not in ALWAYS | _served():
            continue
        wish = f"`{ask.wanted}`" if ask.wanted else "kept"
        wish += ", one new start" if ask.starts else ""
        shown = ", ".join(f"`{text}`" for text in (ask.during, ask.task) if text)
        rows.append([f"`{verb}`", _names(ask.allowed), shown or "nothing", wish])
    rows.append(["`delete?stop=true`", _names(DELETE_AFTER_STOP), "as `delete`", "`deleted`"])
    rows.append(["`delete?force=true`", _names(DELETE_FORCE), "as `delete`", "`deleted`"])
    head = [
        "asked",
        "allowed in status",
        "shown meanwhile (status, task_state)",
        "the wish becomes",
    ]
    return table(head, rows)


def questions() -> str:
    """What can be asked without changing anything."""
    rows = [[f"`{q}`", _names(allowed)] for q, allowed in QUESTIONS.items() if q in _served()]
    return table(["question", "answered in status"], rows)


def moves() -> str:
    """The next status for each status and event."""
    head = ["status \\ event", *(f"`{event}`" for event in Event)]
    rows = [
        [f"**{status}**", *("·" if (to := MOVES[status, e]) == status else str(to) for e in Event)]
        for status in ORDER
    ]
    return table(head, rows)


def words() -> str:
    """All words that may stand in `status` and `task_state`."""
    return (
        f"`status`: {', '.join(f'`{s}`' for s in ORDER)}.\n\n"
        f"`task_state`: {', '.join(f'`{t}`' for t in Task)}, or null.\n"
    )


# --- metrics ---------------------------------------------------------------------------------

TOLD_BY = {
    Source.API: "An API process",
    Source.CONDUCTOR: "A conductor process",
    Source.AGENT: "An agent",
    Source.WSPROXY: "A websocket proxy",
    Source.STORE: "Every process that works on the database",
    Source.LINK: "Every process that takes part in the link",
    Source.PROCESS: "Every process",
}


def metrics() -> str:
    """Every metric by who tells it."""
    page = []
    for source, who in TOLD_BY.items():
        rows = [
            [
                f"`{metric.name}`",
                metric.kind.value,
                ", ".join(f"`{label}`" for label in metric.labels),
                metric.about,
            ]
            for metric in METRICS
            if metric.source is source
        ]
        page.append(f"## {who}\n\n{table(['metric', 'type', 'labels', 'what it tells'], rows)}")
    return "\n".join(page)


# --- clients -----------------------------------------------------------------------------------


def clients() -> str:
    """Every command of the clients as tests type it, and what comes of it."""
    page = []
    for program in PHASES[0]:
        rows = [_typed(row) for phase in PHASES for row in phase.get(program, ())]
        page.append(f"### {program}\n\n{table(['command', 'by', 'result'], rows)}")
    return "\n".join(page)


def _typed(row: Row) -> list[str]:
    line = re.sub(r"{(\w+)}", r"<\1>", row.line)
    result = row.note or "works"
    if row.note:
        result = f"{result} (exit status {row.status})"
    if row.types:
        result = f"{result}; `{row.types}` is typed into the terminal"
    return [f"`{line}`", "administrator" if row.admin else "member", result]


PARTS: dict[str, Callable[[], str]] = {
    "command_line": command_line,
    "routes": routes,
    "fields": described.page,
    "policy": policy,
    "codes": codes,
    "asks": asks,
    "questions": questions,
    "moves": moves,
    "words": words,
    "metrics": metrics,
    "clients": clients,
}


def current(page: str) -> str:
    """The page with its generated parts as they should be."""
    return PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[4]}", page)


def main(arguments: list[str]) -> int:
    """Write or check every page; returns the exit status."""
    stale = []
    for path in sorted(HERE.rglob("*.md")):
        text = path.read_text()
        if (wanted := current(text)) != text:
            stale.append(str(path.relative_to(HERE.parent)))
            if "--check" not in arguments:
                path.write_text(wanted)
    if "--check" in arguments and stale:
        sys.stdout.write(f"not current, `make docs` writes them: {', '.join(stale)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
