"""What every binder promises, over every registered one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolium.drivers import load, names
from dolium.drivers.binder.base import Binder
from tests.drivers.binder import lab
from tests.drivers.binder.test_bridge import network, port

NET = network(1)
PORT = port(NET, 10)
REAL = [pytest.param(name, marks=pytest.mark.live) for name in names("binder") if name != "fake"]


@pytest.fixture(params=["fake", *REAL])
def binder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Binder]:
    kind = load("binder", request.param)
    if request.param == "fake":
        yield kind()
        return
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with lab.host():
        yield kind(kind.Options(deployment="test", state=str(tmp_path / "state")))


def test_names_are_interface_names(binder: Binder) -> None:
    for name in (binder.network_name(NET.uuid), binder.port_name(PORT.uuid)):
        assert 0 < len(name) <= 15
        assert name.isalnum()
    assert binder.network_name(NET.uuid) != binder.port_name(NET.uuid)


def test_everything_may_be_repeated(binder: Binder) -> None:
    for _ in range(2):
        binder.prepare()
        binder.wire(NET)
        inner = binder.make(NET, PORT)
        assert len(inner) <= 15
        bound = binder.bound()
        assert bound.networks == {binder.network_name(NET.uuid)}
        assert bound.ports == {binder.port_name(PORT.uuid)}
    for _ in range(2):
        binder.unmake(PORT.uuid)
        assert not binder.bound().ports
        binder.unwire(NET.uuid)
        assert not binder.bound().networks
        binder.sweep(binder.network_name(NET.uuid))
        binder.release()


def test_a_port_makes_its_network(binder: Binder) -> None:
    binder.make(NET, PORT)
    assert binder.bound().networks == {binder.network_name(NET.uuid)}


def test_a_bridge_in_use_is_not_swept_but_unwired(binder: Binder) -> None:
    binder.make(NET, PORT)
    name = binder.network_name(NET.uuid)
    binder.sweep(name)
    assert binder.bound().networks == {name}
    binder.unwire(NET.uuid)
    assert not binder.bound().networks
    assert not binder.bound().ports


def test_a_port_is_swept(binder: Binder) -> None:
    binder.make(NET, PORT)
    binder.sweep(binder.port_name(PORT.uuid))
    assert not binder.bound().ports
