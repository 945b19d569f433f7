"""What every fence driver must do: never a proof without a reason."""

from __future__ import annotations

import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dolium import errors
from dolium.drivers import load, names
from dolium.drivers.fence.base import Driver
from dolium.drivers.fence.command import Command, CommandOptions
from dolium.drivers.fence.fake import Fake
from dolium.drivers.fence.nova import NovaFence, NovaOptions
from tests.drivers.fence.nova import FakeNova

# keystoneauth1 looks for osprofiler, which loads webob.
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

SCRIPT = """#!/bin/sh
cd "$1" && test "$#" = 2 || exit 9
test ! -e hung || { sleep 600 & wait; }
test -e "$2" || { echo "nobody knows $2"; exit 3; }
test "$(cat "$2")" = off && exit 0
test -e switch || { echo "$2 is on"; exit 4; }
echo off >"$2"
"""


class Bench(ABC):
    """A driver and the power it knows of."""

    driver: Driver

    @abstractmethod
    def know(self, host: str, *, off: bool) -> None:
        """There is this host."""

    @abstractmethod
    def off(self, host: str) -> bool:
        """Whether it is really off."""

    @abstractmethod
    def reach(self) -> None:
        """From now on the driver can turn hosts off."""

    @abstractmethod
    def hang(self) -> None:
        """What is asked does not answer from now on."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing running."""


class FakeBench(Bench):
    def __init__(self, _folder: Path) -> None:
        self.driver = self.fake = Fake()

    def know(self, host: str, *, off: bool) -> None:
        self.fake.known[host] = off

    def off(self, host: str) -> bool:
        return self.fake.known[host]

    def reach(self) -> None:
        self.fake.switch = lambda host: None

    def hang(self) -> None:
        self.fake.answers = False

    def close(self) -> None:
        pass


class CommandBench(Bench):
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "power"
        self.folder.mkdir()
        script = folder / "fence"
        script.write_text(SCRIPT)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        program = [str(script), str(self.folder)]
        self.driver = Command(CommandOptions(program=program, timeout_s=20.0))
        self.program = program

    def know(self, host: str, *, off: bool) -> None:
        (self.folder / host).write_text("off" if off else "on")

    def off(self, host: str) -> bool:
        return (self.folder / host).read_text().strip() == "off"

    def reach(self) -> None:
        (self.folder / "switch").touch()

    def hang(self) -> None:
        (self.folder / "hung").touch()
        self.driver = Command(CommandOptions(program=self.program, timeout_s=0.5))

    def close(self) -> None:
        pass


class NovaBench(Bench):
    def __init__(self, _folder: Path) -> None:
        self.nova = FakeNova()
        self._ids: dict[str, str] = {}
        self.driver = self._made(power_off=False)

    def _made(self, *, power_off: bool) -> NovaFence:
        options = NovaOptions(
            auth_url=self.nova.url,
            username="u",
            password="p",
            project_name="p",
            power_off=power_off,
            timeout_s=6.0,
        )
        return NovaFence(options, sleep=lambda _: None)

    def know(self, host: str, *, off: bool) -> None:
        self._ids[host] = self.nova.add(host, *(("SHUTOFF", 4) if off else ()))

    def off(self, host: str) -> bool:
        server = self.nova.shown(self._ids[host])
        return server is not None and server["status"] == "SHUTOFF"

    def reach(self) -> None:
        self.driver = self._made(power_off=True)

    def hang(self) -> None:
        self.nova.broken = True

    def close(self) -> None:
        self.nova.close()


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "fake": FakeBench,
    "command": CommandBench,
    "nova": NovaBench,
}


@pytest.fixture(params=names("fence"))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = BENCHES[request.param](tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", names("fence"))
def test_it_is_registered_by_its_name(name: str) -> None:
    found: Any = load("fence", name)
    assert issubclass(found, Driver)
    assert found.name == name
    assert isinstance(found.Options, type)


def test_a_host_that_is_off_is_proven_each_time(bench: Bench) -> None:
    bench.know("host1", off=True)
    for _ in range(2):
        assert bench.driver.off("host1").strip()


def test_a_host_that_is_on_is_not(bench: Bench) -> None:
    bench.know("host1", off=False)
    bench.know("host10", off=True)
    with pytest.raises(errors.Refused):
        bench.driver.off("host1")
    assert not bench.off("host1")


def test_it_turns_off_what_it_may(bench: Bench) -> None:
    bench.know("host1", off=False)
    bench.know("host2", off=False)
    bench.reach()
    assert bench.driver.off("host1").strip()
    assert bench.off("host1")
    assert not bench.off("host2")
    assert bench.driver.off("host1").strip()


def test_a_host_that_nobody_knows_is_not_proven(bench: Bench) -> None:
    bench.know("other", off=True)
    bench.reach()
    for host in ("host1", "o", "other; true"):
        with pytest.raises(errors.Refused):
            bench.driver.off(host)


def test_no_answer_is_no_proof_and_takes_its_time_only(bench: Bench) -> None:
    bench.know("host1", off=True)
    bench.hang()
    begun = time.monotonic()
    with pytest.raises(errors.Unanswered):
        bench.driver.off("host1")
    assert time.monotonic() - begun < 60.0
