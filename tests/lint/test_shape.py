"""Sizes and names that STYLE.md promises and no other tool checks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_LINES = 500
FUNCTION_LINES = 60
# Words that say nothing about what is inside.
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "impl", "handler", "common", "misc"}


def sources() -> Iterator[Path]:
    for folder in ("dolium", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_files_fit_in_a_head() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text().splitlines())) > FILE_LINES
    }
    assert long == {}, f"split files of more than {FILE_LINES} lines"


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for path in sources()
        if path.parent.name != "versions"  # a migration is one long list and never read again
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}, f"split functions of more than {FUNCTION_LINES} lines"


def test_names_say_what_is_inside() -> None:
    empty = [
        str(path.relative_to(ROOT))
        for path in sources()
        if EMPTY_WORDS & set(path.stem.split("_")) or EMPTY_WORDS & set(path.parent.name.split("_"))
    ]
    assert empty == []


def test_modules_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_only_one_module_makes_readers_of_types() -> None:
    """As many threads must not work out the same type: see dolium/model/reading.py."""
    made = re.compile(r"json\.Decoder\(|json\.decode\([^\n]*\btype=")
    own = ROOT / "dolium" / "model" / "reading.py"
    others = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "dolium").rglob("*.py"))
        if path != own and made.search(path.read_text())
    ]
    assert others == []
