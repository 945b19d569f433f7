"""The lock files name the public index only, whatever is configured where they were written."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "tests" / "live"
PROJECTS = [ROOT, ROOT / "clients", LIVE / "tempest", LIVE / "placement", LIVE / "compute"]
INDEX = "https://pypi.org/simple"
FILES = "https://files.pythonhosted.org/"

Toml = dict[str, Any]


def load(path: Path) -> Toml:
    return tomllib.loads(path.read_text())


def strangers(lock: Toml) -> list[str]:
    """What a lock takes from elsewhere than the public index."""
    found = []
    for package in lock["package"]:
        if package["source"] not in ({"registry": INDEX}, {"editable": "."}, {"virtual": "."}):
            found.append(f"{package['name']} comes from {package['source']}")
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        found += [
            f"{package['name']} is fetched as {file}"
            for file in files
            if not file.get("url", "").startswith(FILES) or "hash" not in file
        ]
    return found


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_lock_names_the_public_index_only(project: Path) -> None:
    assert strangers(load(project / "uv.lock")) == []


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_projects_ask_the_public_index_only(project: Path) -> None:
    settings = load(project / "pyproject.toml")["tool"]["uv"]
    assert [index["url"] for index in settings["index"]] == [INDEX]
    assert settings.keys().isdisjoint({"find-links", "sources", "index-url", "extra-index-url"})


def test_every_lock_is_looked_at() -> None:
    locks = {path.parent for path in ROOT.rglob("uv.lock") if ".venv" not in str(path)}
    assert locks == set(PROJECTS)


@pytest.mark.parametrize(
    "package",
    [
        {"name": "a", "source": {"registry": "../../srv/wheels"}},
        {"name": "a", "source": {"registry": "https://mirror.example/simple"}},
        {"name": "a", "source": {"path": "/srv/wheels/a.whl"}},
        {"name": "a", "source": {"registry": INDEX}, "wheels": [{"path": "a.whl", "hash": "x"}]},
        {"name": "a", "source": {"registry": INDEX}, "sdist": {"url": FILES + "a.tar.gz"}},
    ],
)
def test_a_stranger_is_noticed(package: Toml) -> None:
    assert len(strangers({"package": [package]})) == 1
