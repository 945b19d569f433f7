"""The figures as a table on the terminal, as JSON for machines and as a page of the reference."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from tests.perf.figure import Figure

LIBRARIES = (
    "falcon",
    "msgspec",
    "sqlalchemy",
    "cheroot",
    "oslo.config",
    "keystonemiddleware",
    "keystone",
)

INTRODUCTION = """\
# Benchmarks

Every figure compares Dolium with a peer or a floor that was measured in turn with it, in the same
run on the same machine: the ratios are the trustworthy numbers. A budget that is not met is a
fault; so is a change that makes one fail. On a machine that is shared, a figure within a tenth of
its budget falls on either side of it from run to run.
"""


def surroundings(load: float) -> dict[str, Any]:
    """What a reader needs to know about the run; load is the machine's before it began."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _said("git", "rev-parse", "--short=12", "HEAD"),
        "machine": f"{os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}",
        "load before": f"{load:.2f}",
        "python": platform.python_version(),
        "docker": _said("dockerd", "--version").removeprefix("Docker version ").split(",")[0],
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def table(figures: list[Figure]) -> str:
    """Lines for the terminal."""
    rows = [("figure", "measured", "budget", "", "ours", "peer")]
    rows += [(f.name, f.measured, f.budget, verdict(f), f.ours, f.peer) for f in figures]
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[5]]).rstrip())
    lines += [f"{f.name}: {f.note}" for f in figures if f.note]
    return "\n".join(lines)


def verdict(figure: Figure) -> str:
    """One word."""
    return {True: "met", False: "MISSED", None: "not measured"}[figure.met]


def write_json(path: Path, figures: list[Figure], about: dict[str, Any]) -> None:
    """All of it, with every sample."""
    listed = [
        msgspec.structs.asdict(figure) | {"met": figure.met, "budget": figure.budget}
        for figure in figures
    ]
    encoded = msgspec.json.encode({"about": about, "figures": listed})
    path.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def write_page(path: Path, figures: list[Figure], about: dict[str, Any], command: str) -> None:
    """The reference page."""
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    lines = [
        INTRODUCTION,
        f"Made by `{command}` on {about['date']} at commit {about['commit']}: {about['machine']}, "
        f"load {about['load before']} before the run, Python {about['python']}, "
        f"Docker {about['docker']}, {libraries}.",
        "",
        "| figure | measured | budget | | Dolium | compared with |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.what} | {f.measured} | {f.budget} | {verdict(f)} | {f.ours} | {f.peer} |"
        for f in figures
    ]
    notes = [f"- {f.what}: {f.note}" for f in figures if f.note]
    lines += ["", *notes] if notes else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "(none)"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "(unknown)"
