"""Modules that are loaded when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium.beside.later import defer

LOADED: list[str] = []


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that imports one of its modules, and that one another, at its top."""
    tell = f"import importlib\nimportlib.import_module({__name__!r}).LOADED.append(__name__)\n"
    package = tmp_path / "somelib"
    package.mkdir()
    (package / "__init__.py").write_text(
        f"{tell}from somelib import seldom\nseldomly = lambda: seldom.answer\n"
    )
    (package / "seldom.py").write_text(f"{tell}import heavy\nanswer = heavy.answer\n")
    (tmp_path / "heavy.py").write_text(f"{tell}answer = 42\n")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(tmp_path)
    LOADED.clear()
    yield
    for name in ("somelib", "somelib.seldom", "heavy"):
        sys.modules.pop(name, None)


def test_a_deferred_module_is_loaded_when_it_is_used() -> None:
    defer("somelib.seldom")
    somelib = importlib.import_module("somelib")
    assert LOADED == ["somelib"]
    assert somelib.seldomly() == 42
    assert LOADED == ["somelib", "somelib.seldom", "heavy"]


def test_others_are_loaded_as_ever() -> None:
    defer("heavy")
    importlib.import_module("somelib")
    assert LOADED == ["somelib", "somelib.seldom", "heavy"]


def test_a_name_without_a_module_does_no_harm() -> None:
    defer("somelib.gone", "gone")
    importlib.import_module("somelib")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gone")
