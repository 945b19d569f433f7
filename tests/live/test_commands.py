"""Every command of `zun` and `openstack`, unmodified, typed once against a whole Dolium."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from tests.live import matches
from tests.live.clients import FOLDER, Clients, Said
from tests.live.commands import LOOP, PHASES, Row
from tests.live.installation import Installation, Owned
from tests.live.place import until
from tests.live.terminals import terminal
from tests.perf.installation import token

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROWS = [(program, row) for phase in PHASES for program, rows in phase.items() for row in rows]
GREETING = "good morning"


Outcome = tuple[Said, str]
"""What was said and the regular expression it is to match."""


class Typist:
    """Somebody who types one client's commands, one after another."""

    def __init__(self, installation: Installation, program: str, folder: Path) -> None:
        self._installation = installation
        self._program = program
        self._folder = folder
        self._clients = Clients(installation.rc("demo"))
        self._names = {"folder": str(folder)}
        self._container = ""
        """The one that was waited for last."""

    def type(self, row: Row) -> Outcome:
        """One command, and wait for what it brings about."""
        with self._installation.client() as client:
            owned = Owned(client)
            words = shlex.split(self._filled(row.line, owned))
            expected = self._filled(row.shows, owned, re.escape)
            if row.types:
                said = self._at_a_terminal(row, words)
            else:
                rc = self._installation.rc("admin" if row.admin else "demo")
                said = self._clients.say(self._program, *words, folder=self._folder, rc=rc)
            if row.until:
                self._wait(row.until, owned)
        return said, expected

    def _at_a_terminal(self, row: Row, words: list[str]) -> Said:
        with terminal(self._installation.rc("demo"), self._program, *words) as screen:
            seen = screen.sees(row.shows)
            until(screen.prompted, "there is a prompt")
            screen.type(f"{row.types}\r")
            return Said(screen.ends(), seen)

    def _wait(self, what: str, owned: Owned) -> None:
        if what == "host back":
            self._host(owned)
            return
        name, status = what.split()
        if status == "over":
            path = f"/v1/capsules/{name}"
            until(lambda: owned.client.raw("GET", path)[0] == 404, f"capsule {name} is over")
            return
        self._container = name
        if status == "gone":
            owned.gone(name)
        elif status == "says":
            path = f"/v1/containers/{name}/logs"
            until(lambda: owned.client.ask("GET", path), f"{name} says something")
        else:
            owned.until(self._container, status)

    # --- names -----------------------------------------------------------------------------------

    def _filled(self, text: str, owned: Owned, quote: Callable[[str], str] = str) -> str:
        def name(found: re.Match[str]) -> str:
            if found[1] not in self._names:
                self._names[found[1]] = getattr(self, f"_{found[1]}")(owned)
            return quote(self._names[found[1]])

        return re.sub(r"{(\w+)}", name, text)

    def _host(self, _: Owned) -> str:
        def listed() -> list[dict[str, str]]:
            with self._installation.client("admin") as client:
                return list(client.ask("GET", "/v1/hosts")["hosts"])

        return until(listed, "the host is known (again)")[0]["hostname"]

    def _project(self, _: Owned) -> str:
        return token(self._installation.rc("demo"))[1]

    def _network(self, owned: Owned) -> str:
        return str(next(iter(owned.show(self._container)["addresses"])))

    def _request(self, owned: Owned) -> str:
        path = f"/v1/containers/{self._container}/container_actions"
        return str(owned.client.ask("GET", path)["containerActions"][-1]["request_id"])

    def _image(self, _: Owned) -> str:
        with self._installation.client("admin") as client:
            images = client.ask("GET", "/v1/images")["images"]
        (found,) = (each for each in images if each["repo"] == f"nosuch/{self._program}")
        return str(found["uuid"])


@pytest.fixture(scope="module")
def folder(installation: Installation) -> Path:
    """Where files to be copied are, and templates of capsules."""
    made = installation.place.folder / "copies"
    made.mkdir()
    (made / "greeting").write_text(GREETING)
    for program in ("zun", "openstack"):
        (made / f"{program}.json").write_text(json.dumps(template(f"pod-{program}")))
    return made


def template(name: str) -> dict[str, Any]:
    """A capsule of two containers."""
    least = {"requests": {"cpu": 0.1, "memory": 32}}
    one = {"image": "cirros", "command": shlex.split(LOOP), "resources": least}
    return {
        "kind": "capsule",
        "capsuleVersion": "beta",
        "metadata": {"name": name, "labels": {"tier": "web"}},
        "spec": {"containers": [one, one]},
    }


@pytest.fixture(scope="module")
def outcomes(installation: Installation, folder: Path) -> list[Outcome | Exception]:
    """Of every row."""
    typists = {each: Typist(installation, each, folder) for each in ("zun", "openstack")}

    def typed(program: str, rows: tuple[Row, ...]) -> Iterator[Outcome | Exception]:
        for row in rows:
            try:
                yield typists[program].type(row)
            except Exception as error:  # others can still be tried
                yield error

    found: list[Outcome | Exception] = []
    for phase in PHASES:
        with ThreadPoolExecutor() as beside:
            for some in beside.map(lambda each: list(typed(*each)), phase.items()):
                found += some
    return found


@pytest.mark.parametrize(
    "number", range(len(ROWS)), ids=[f"{program} {row.line}" for program, row in ROWS]
)
def test_command(outcomes: list[Outcome], number: int) -> None:
    outcome, row = outcomes[number], ROWS[number][1]
    if isinstance(outcome, Exception):
        raise outcome
    said, expected = outcome
    assert said.status == row.status, said.output
    assert re.search(expected, said.output), said.output
    assert "Traceback" not in said.output


@pytest.mark.parametrize("program", ["zun", "openstack"])
@pytest.mark.usefixtures("outcomes")
def test_what_was_copied_there_and_back_is_the_same(program: str, folder: Path) -> None:
    assert (folder / program / "greeting").read_text() == GREETING


@pytest.mark.usefixtures("outcomes")
def test_nothing_is_left(installation: Installation) -> None:
    with installation.client("admin") as client:
        assert client.ask("GET", "/v1/containers?all_projects=1")["containers"] == []
    matches.soon(installation)


# --- the table is complete ---------------------------------------------------------------------


def missing(program: str, known: set[str]) -> set[str]:
    """Commands without a row."""
    typed = [row.line for name, row in ROWS if name == program]
    return {each for each in known if not any(f"{line} ".startswith(f"{each} ") for line in typed)}


def test_every_command_of_zun_has_a_row(outcomes: list[Outcome | Exception]) -> None:
    outcome = outcomes[[row.line for _, row in ROWS].index("help")]
    assert not isinstance(outcome, Exception)
    known = set(re.findall(r"^    ([a-z][a-z-]+)(?:\s|$)", outcome[0].output, re.MULTILINE))
    assert len(known) > 50
    assert missing("zun", known) == set()


def test_every_command_of_openstack_has_a_row() -> None:
    packages = [str(path) for path in FOLDER.parent.glob("lib/python3*/site-packages")]
    (client,) = distributions(name="python-zunclient", path=packages)
    plugins = client.entry_points.select(group="openstack.container.v1")
    known = {plugin.name.replace("_", " ") for plugin in plugins}
    assert len(known) > 50
    assert missing("openstack", known) == set()
