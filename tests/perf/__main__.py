"""Measure Dolium beside its peers: `python -m tests.perf [name...]`, or `make bench`.

Without names everything is measured. What needs root and an engine runs in namespaces of its own
and leaves nothing behind; without root it is shown as not measured. The exit status is 1 when a
budget is missed or something could not be measured that should have been.

`python -m tests.perf scale` and `python -m tests.perf load` are longer runs of their own: see
tests/perf/scale.py and tests/perf/load.py.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.perf import lab, report
from tests.perf.figure import Figure

ALONE = ("placing", "durable", "answers", "lifetime", "outages", "remote", "load")
"""Modules that need no installation of their own; what else they lack, they say."""

IN_LAB = ("restart", "memory", "imports", "starts", "capsules", "rate")
"""Modules that measure a whole installation, in this order: the first ones want it fresh."""


def main() -> int:
    """Measure, print, write."""
    if sys.argv[1:2] == ["scale"]:
        from tests.perf import scale

        return scale.main(sys.argv[2:])
    if sys.argv[1:2] == ["load"]:
        from tests.perf import load as crowd

        return crowd.main(sys.argv[2:])
    options = _options()
    names = options.names or [*ALONE, *IN_LAB]
    if any(name in IN_LAB for name in names) and not lab.inside():
        if why := lab.missing():
            print(f"not measured: {', '.join(set(names) & set(IN_LAB))} ({why})")
            names = [name for name in names if name in ALONE]
        else:
            return lab.enter(sys.argv[1:])
    load = os.getloadavg()[0]
    figures: list[Figure] = []
    broken = False
    with lab.Lab() as installation:
        for name in names:
            try:
                figures += _measured(name, installation)
            except Exception:
                broken = True
                traceback.print_exc()
    print(report.table(figures))
    about = report.surroundings(load)
    if options.json:
        report.write_json(options.json, figures, about)
    if options.page:
        command = f"make bench ARGS='{' '.join(sys.argv[1:])}'"
        report.write_page(options.page, figures, about, command)
    return int(broken or any(figure.met is False for figure in figures))


def _measured(name: str, installation: lab.Lab) -> Iterator[Figure]:
    module = importlib.import_module(f"tests.perf.{name}")
    for figure in module.measure(*([installation] if name in IN_LAB else [])):
        print(f"{figure.name}: {figure.measured} ({report.verdict(figure)})", flush=True)
        yield figure


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=" ".join((*ALONE, *IN_LAB)))
    parser.add_argument("--json", type=Path, help="write every sample there")
    parser.add_argument("--page", type=Path, help="write the reference page there")
    options = parser.parse_args()
    if unknown := set(options.names) - {*ALONE, *IN_LAB}:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
