"""The keys of secrets: made once, refused when they are not the ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolium import conf, errors
from dolium.cli.keys import cipher_of
from dolium.control.cipher import new_key
from dolium.control.registries import Registries
from tests.control.world import World


def config(path: Path) -> conf.Config:
    return conf.Config(default=conf.Default(state_dir=str(path)))


def test_a_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    world = World()
    sealed = cipher_of(config(tmp_path / "s"), world.store).seal("word")
    path = tmp_path / "s" / "secrets.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secrets.key"]
    assert cipher_of(config(tmp_path / "s"), world.store).open(sealed) == "word"


def test_a_named_file_is_used(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    old = new_key()
    path.write_text(f"{new_key()}\n{old}\n")
    path.chmod(0o640)
    named = conf.Config(default=conf.Default(secret_key_file=str(path)))
    cipher_of(named, World().store)
    path.chmod(0o644)
    with pytest.raises(errors.StartError, match="can be read by everybody"):
        cipher_of(named, World().store)
    path.chmod(0o600)
    path.write_text("word")
    with pytest.raises(errors.StartError, match="has a line that is no key"):
        cipher_of(named, World().store)


def test_a_key_that_is_not_the_databases_is_refused(tmp_path: Path) -> None:
    world, here, there = World(), config(tmp_path / "here"), config(tmp_path / "there")
    registries = Registries(world.store, world.clock, cipher_of(here, world.store))
    cipher_of(there, world.store)  # nothing is sealed yet
    registries.create(world.who(), {"domain": "d.example", "password": "word"})
    cipher_of(here, world.store)
    with pytest.raises(errors.StartError, match="does not open the passwords"):
        cipher_of(there, world.store)
    (tmp_path / "there" / "secrets.key").unlink()
    with pytest.raises(errors.StartError, match="copy it"):
        cipher_of(there, world.store)
    assert not (tmp_path / "there" / "secrets.key").exists()
