"""The pages say what is there: links lead somewhere, commands exist, tables are the code's."""

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium import errors
from dolium.beside import errors as beside
from dolium.cli import main
from dolium.drivers.engine import docker_bodies
from dolium.model.container import Status

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
MEASURED = "docs/reference/benchmarks.md"
"""Written by `make bench` where somebody measures; a page without it is complete too."""
COMMAND = re.compile(
    r"(?:(?<=`)|(?<=\$ )|(?<=bin/)|^ *)(?:sudo )?dolium ([a-z][a-z-]*)\b", re.MULTILINE
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The fragments a page's headings can be reached by."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in headings}


def links(page: Path) -> Iterator[str]:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in links(page):
        path, _, fragment = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists() or (fragment and fragment not in anchors(found)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached_from_the_front() -> None:
    seen, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        todo += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    docs = {page.resolve() for page in PAGES if "docs" in page.parts}
    assert sorted({name(page) for page in docs - seen} - {MEASURED}) == []


def test_documented_commands_exist() -> None:
    known = set(subcommands())
    for page in PAGES:
        unknown = set(COMMAND.findall(page.read_text())) - known
        assert not unknown, f"{name(page)} speaks of {unknown}"


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs/reference/command-line.md").read_text()
    assert [command for command in subcommands() if f"## dolium {command}\n" not in page] == []


def subcommands() -> list[str]:
    usage = main._parser().format_help()
    return re.findall(r"^    ([a-z-]+)\b", usage.partition("COMMAND\n")[2], re.MULTILINE)


def test_make_targets_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        unknown = set(re.findall(r"`make ([a-z-]+)`", page.read_text())) - known
        assert not unknown, f"{name(page)} speaks of {unknown}"


def test_generated_parts_are_current() -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def starts() -> list[type[errors.Error]]:
    return [kind for kind in vars(beside).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", starts(), ids=lambda kind: kind.__name__)
def test_each_sentence_at_start_has_a_cure(kind: type[errors.Error]) -> None:
    page = (ROOT / "docs/howto/troubleshoot.md").read_text()
    assert f"| {re.sub(r'{[a-z]+}', '…', kind.text)} |" in page


def test_pictures_use_words_that_exist() -> None:
    picture = (ROOT / "docs/explanation/states.svg").read_text()
    shown = [html.unescape(text) for text in re.findall(r'class="status"[^>]*>([^<]*)<', picture)]
    assert shown and set(shown) <= set(map(str, Status))


def test_labels_are_documented() -> None:
    page = (ROOT / "docs/reference/files.md").read_text()
    labels = (docker_bodies.DEPLOYMENT, docker_bodies.UUID, docker_bodies.GENERATION)
    assert [label for label in (*labels, docker_bodies.NETWORK) if f"`{label}`" not in page] == []


def test_prose_does_not_belittle() -> None:
    words = re.compile(r"\b(simply|easily|easy|obviously|trivial(?:ly)?)\b", re.IGNORECASE)
    said = {name(page): words.findall(FENCE.sub("", page.read_text())) for page in PAGES}
    assert {page: found for page, found in said.items() if found} == {}
