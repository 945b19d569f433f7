"""What every claim driver must do; `placement` on a real Placement."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dolium import errors
from dolium.drivers import load, names
from dolium.drivers.claim.base import Driver, Offer, Taking
from dolium.drivers.claim.fake import Fake, FakeOptions
from dolium.model.placing import Amounts
from tests.databases import MariaDb
from tests.live.arbiter import Arbiter

# keystoneauth1 looks for osprofiler, which loads webob.
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

OFFER = Offer(
    cpus=2, cpu_ratio=4.0, memory_mib=1024, reserved_mib=256, memory_ratio=1.5, disk_gib=10
)
ROOM = Amounts(8000, 1152, 10)
Drivers = Callable[[str], Driver]


@contextmanager
def _fake(_folder: Path) -> Iterator[Drivers]:
    first = Fake(FakeOptions(deployment="one"))

    def driver(deployment: str) -> Driver:
        if deployment == "one":
            return first
        other = Fake(FakeOptions(deployment=deployment))
        other.names, other.rooms = first.names, first.rooms
        other.consumers, other.marks = first.consumers, first.marks
        return other

    yield driver


@contextmanager
def _placement(folder: Path) -> Iterator[Drivers]:
    if missing := Arbiter.missing():
        pytest.skip(f"not installed: {missing}")
    database = MariaDb()
    try:
        arbiter = Arbiter(database.start(), folder)
        try:
            yield arbiter.driver
        finally:
            arbiter.close()
    finally:
        database.close()


BENCHES = {"fake": _fake, "placement": _placement}
LIVE = {"placement": [pytest.mark.live]}


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=LIVE.get(n, [])) for n in names("claim")]
)
def drivers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drivers]:
    """Drivers of deployments, all with the same arbiter."""
    with BENCHES[request.param](tmp_path_factory.mktemp("claim")) as made:
        yield made


@pytest.fixture
def driver(drivers: Drivers) -> Driver:
    return drivers("one")


@pytest.fixture
def host(driver: Driver) -> str:
    """A provider of ours."""
    uuid = _uuid()
    driver.offer(uuid, f"host-{uuid}", OFFER)
    return uuid


def _uuid() -> str:
    return str(uuids.uuid4())


def _taking(provider: str, cpu_m: int = 1000, memory_mib: int = 64, disk_gib: int = 0) -> Taking:
    amounts = Amounts(cpu_m, memory_mib, disk_gib)
    return Taking(consumer=_uuid(), provider=provider, project_id="project", amounts=amounts)


@pytest.mark.parametrize("name", names("claim"))
def test_it_is_registered_by_its_name(name: str) -> None:
    found: Any = load("claim", name)
    assert issubclass(found, Driver)
    assert found.name == name
    assert isinstance(found.Options, type)


def test_a_host_offers_what_it_has(driver: Driver, host: str) -> None:
    assert driver.survey(host).room == ROOM
    assert driver.find(f"host-{host}") == host
    driver.offer(host, f"host-{host}", OFFER)
    assert driver.survey(host).room == ROOM


def test_a_host_that_changed_offers_something_else(driver: Driver, host: str) -> None:
    more = Offer(
        cpus=4, cpu_ratio=4.0, memory_mib=2048, reserved_mib=0, memory_ratio=1.0, disk_gib=10
    )
    taking = _taking(host)
    driver.take([taking])
    driver.offer(host, f"host-{host}", more)
    survey = driver.survey(host)
    assert survey.room == Amounts(16000, 2048, 10)
    assert survey.held == {taking.consumer: taking.amounts}


def test_the_name_of_somebody_elses_provider_is_not_taken(driver: Driver, host: str) -> None:
    with pytest.raises(errors.Refused):
        driver.offer(_uuid(), f"host-{host}", OFFER)


def test_who_is_not_there_is_not_found(driver: Driver) -> None:
    assert driver.find("nobody") is None
    with pytest.raises(errors.Absent):
        driver.survey(_uuid())
    with pytest.raises(errors.Absent):
        driver.take([_taking(_uuid())])
    assert driver.held(_uuid()) is None
    driver.give_back(_uuid())


def test_many_take_all_or_nothing(driver: Driver, host: str) -> None:
    few = [_taking(host, disk_gib=1) for _ in range(3)]
    driver.take(few)
    with pytest.raises(errors.Full):
        driver.take([_taking(host, cpu_m=3000), _taking(host, cpu_m=3000)])
    assert driver.survey(host).held == {one.consumer: one.amounts for one in few}


@pytest.mark.parametrize(
    "much",
    [{"cpu_m": 9000}, {"memory_mib": 1153}, {"disk_gib": 11}],
    ids=lambda much: next(iter(much)),
)
def test_no_more_than_there_is_is_taken(driver: Driver, host: str, much: dict[str, int]) -> None:
    with pytest.raises(errors.Full):
        driver.take([_taking(host, **much)])
    assert not driver.survey(host).held


def test_who_has_something_is_told_so(driver: Driver, host: str) -> None:
    taking = _taking(host)
    driver.take([taking])
    with pytest.raises(errors.Refused):
        driver.take([_taking(host), taking])
    assert driver.survey(host).held == {taking.consumer: taking.amounts}
    held = driver.held(taking.consumer)
    assert held is not None
    assert held.takings == {host: taking.amounts}


def test_what_is_given_back_others_may_take(driver: Driver, host: str) -> None:
    taking = _taking(host, cpu_m=8000)
    driver.take([taking])
    driver.give_back(taking.consumer)
    driver.give_back(taking.consumer)
    assert driver.held(taking.consumer) is None
    driver.take([_taking(host, cpu_m=8000)])


def test_a_change_needs_what_was_read(driver: Driver, host: str) -> None:
    taking = _taking(host)
    driver.take([taking])
    held = driver.held(taking.consumer)
    assert held is not None
    more = Taking(
        consumer=taking.consumer, provider=host, project_id="project", amounts=Amounts(4000, 512)
    )
    driver.change(more, held.turn)
    with pytest.raises(errors.Refused):
        driver.change(taking, held.turn)
    assert driver.survey(host).held == {taking.consumer: more.amounts}


def test_a_change_that_does_not_fit_changes_nothing(driver: Driver, host: str) -> None:
    taking = _taking(host)
    driver.take([taking])
    held = driver.held(taking.consumer)
    assert held is not None
    more = Taking(
        consumer=taking.consumer, provider=host, project_id="project", amounts=Amounts(9000, 64)
    )
    with pytest.raises(errors.Full):
        driver.change(more, held.turn)
    assert driver.survey(host).held == {taking.consumer: taking.amounts}


def test_a_consumer_tells_whose_it_is(drivers: Drivers, driver: Driver, host: str) -> None:
    mine, other = _taking(host), _taking(host)
    driver.take([mine])
    drivers("two").take([other])
    assert [_held(driver, each).ours for each in (mine, other)] == [True, False]


def _held(driver: Driver, taking: Taking) -> Any:
    return driver.held(taking.consumer)


def test_at_once_no_more_is_taken_than_there_is(driver: Driver, host: str) -> None:
    def take(_: int) -> bool:
        taking = _taking(host)
        while True:
            try:
                driver.take([taking])
                return True
            except errors.Full:
                return False
            except errors.Unanswered:
                pass  # the others were quicker each time

    with ThreadPoolExecutor(4) as pool:
        got = sum(pool.map(take, range(12)))
    assert got == 8
    assert len(driver.survey(host).held) == 8
