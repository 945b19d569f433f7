"""Nova and Dolium share hosts through a real Placement: nothing is promised twice, and nothing is
left there.
"""

from __future__ import annotations

import random
import threading
import time
import urllib.error
import urllib.request
import uuid as uuids
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest

from dolium import conf, errors
from dolium.cli.arbiter import driver
from dolium.clients.account import Account
from dolium.clients.placement import Placement
from dolium.control import rows
from dolium.control.claims import AGAIN_S, GRACE_S, LOOK_S, Claims
from dolium.drivers.claim.base import Survey
from dolium.drivers.claim.placement import PlacementClaim, PlacementOptions
from dolium.model.container import Status
from dolium.model.host import Inventory
from dolium.model.placing import Amounts
from dolium.store import containers, hosts, settlements
from dolium.store.store import Tx
from tests import databases
from tests.control import world
from tests.control.test_claims import PlacementWorld
from tests.databases import Database, MariaDb
from tests.live import identity
from tests.live.arbiter import Arbiter
from tests.live.place import until

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    # keystoneauth1 looks for osprofiler, which loads webob.
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning"),
]

SHARED = ("nova1", "nova2")
VCPUS, MEMORY = 12, 4096
OPTIONS = PlacementOptions(auth_url="http://", username="", password="", project_name="")
CONTAINERS = 24


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    if missing := Arbiter.missing():
        pytest.skip(f"not installed: {missing}")
    made = MariaDb()
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def arbiter(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arbiter]:
    made = Arbiter(database, tmp_path_factory.mktemp("placement"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def guarded(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arbiter]:
    """One that asks Keystone who asks."""
    made = Arbiter(database, tmp_path_factory.mktemp("guarded"), signs_in=True)
    yield made
    made.close()


class Shared(PlacementWorld):
    """A Dolium with two hosts that are Nova's too; each conductor has connections of its own."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        inventory = Inventory(
            hostname="host1", cpus=4, memory_mib=8192, disk_gib=100, compute_node=SHARED[0]
        )
        super().__init__(inventory, conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1))
        self.host("host2", compute_node=SHARED[1], cpus=4)

    def conductor(self, seed: int) -> Claims:
        rng, driver = random.Random(seed), self._arbiter.driver()
        return Claims(self.store, self.clock, rng, driver, conf.Placing())


class Nova:
    """Makes and removes servers on its compute nodes until it is told to stop."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.providers = [str(uuids.uuid4()) for _ in SHARED]
        self.servers: list[str] = []
        self.refused = 0
        for name, provider in zip(SHARED, self.providers, strict=True):
            placement.make_provider(provider, name)
            inventories = {
                "VCPU": {"total": VCPUS // 4, "allocation_ratio": 4.0},
                "MEMORY_MB": {"total": MEMORY, "allocation_ratio": 1.0},
            }
            placement.set_inventories(provider, inventories, 0)

    def run(self, done: threading.Event, rng: random.Random) -> None:
        while not done.is_set():
            if self.servers and rng.random() < 0.4:
                self.remove(self.servers[0])
            else:
                self.make(rng.choice(self.providers), rng.choice([256, 512, 1024]))

    def make(self, provider: str, memory: int) -> None:
        server = str(uuids.uuid4())
        wanted = {
            "allocations": {provider: {"resources": {"VCPU": 1, "MEMORY_MB": memory}}},
            "project_id": "nova",
            "user_id": "nova",
            "consumer_generation": None,
            "consumer_type": "INSTANCE",
        }
        try:
            self.placement.reallocate(server, wanted)
        except (errors.Refused, errors.Changed):
            self.refused += 1
        else:
            self.servers.append(server)

    def remove(self, server: str) -> None:
        self.placement.deallocate(server)
        self.servers.remove(server)


def test_nova_and_dolium_fill_hosts_at_once(
    arbiter: Arbiter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = databases.store(database, "dolium")
    monkeypatch.setattr(world, "make_store", lambda: store)
    nova = Nova(arbiter.client())
    shared = Shared(arbiter)
    try:
        made = _fill(shared, nova)
        _check(shared, nova, made)
        _empty(shared, nova, made)
    finally:
        store.close()


def _fill(shared: Shared, nova: Nova) -> list[str]:
    done, watched = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run)

    def conduct(turn: Callable[[], int]) -> None:
        while not done.is_set():
            if not turn():
                time.sleep(0.02)

    def watch() -> None:
        watcher = shared._arbiter.driver()
        while not watched.is_set():
            for provider in nova.providers:
                _fits(watcher.survey(provider))

    turns = [shared.placer.turn, *(claims.turn for claims in shared.conductors)]
    threads = [guarded(partial(conduct, turn)) for turn in turns]
    threads.append(guarded(partial(nova.run, done, random.Random(7))))
    watching = guarded(watch)
    for thread in [*threads, watching]:
        thread.start()
    rng = random.Random(5)
    made = []
    for number in range(CONTAINERS):
        cpu, memory = rng.choice([0.5, 1.0, 2.0]), rng.choice(["128", "256", "512"])
        made.append(shared.create(f"c{number}", cpu=cpu, memory=memory))
    ends = ("ready", "nowhere")
    until(
        lambda: failures or all(shared.stage(uuid) in ends for uuid in made),
        "some wait on",
        seconds=180,
    )
    done.set()
    for thread in threads:
        thread.join()
    watched.set()
    watching.join()
    assert not failures, failures
    return made


def _fits(survey: Survey) -> None:
    held = survey.held.values()
    assert sum(each.cpu_m for each in held) <= VCPUS * 1000
    assert sum(each.memory_mib for each in held) <= MEMORY


def _check(shared: Shared, nova: Nova, made: list[str]) -> None:
    stages = [shared.stage(uuid) for uuid in made]
    assert set(stages) == {"ready", "nowhere"}, "both, or the hosts were not full"
    assert nova.refused, "Nova has met Dolium's containers"
    _settle(shared)
    driver = shared._arbiter.driver()
    held: dict[str, Amounts] = {}
    for provider in nova.providers:
        survey = driver.survey(provider)
        _fits(survey)
        held |= survey.held
    with shared.store.read() as connection:
        asked = [c for name in ("host1", "host2") for c in settlements.of_host(connection, name)]
        assert len(asked) == stages.count("ready") == len(list(hosts.claimed(connection)))
    assert held.keys() == {claim.consumer for claim in asked} | set(nova.servers)
    for claim in asked:
        assert held[claim.consumer].memory_mib == claim.memory_mib
        assert held[claim.consumer].cpu_m == claim.cpu_m


def _settle(shared: Shared) -> None:
    for seconds in (LOOK_S * 2, GRACE_S * 2, AGAIN_S * 2):
        shared.later(seconds)
        shared.settle()


def _empty(shared: Shared, nova: Nova, made: list[str]) -> None:
    for server in [*nova.servers]:
        nova.remove(server)
    for uuid in made:
        _remove(shared, uuid)
    _settle(shared)
    driver = shared._arbiter.driver()
    assert [driver.survey(provider).held for provider in nova.providers] == [{}, {}]


def _remove(shared: Shared, uuid: str) -> None:
    """As a user and its host do, whichever that is."""
    row = shared.containers.find(shared.who(), uuid)
    if row.status != Status.ERROR:
        shared.store.write(
            lambda tx: containers.observe(tx, uuid, {"status": Status.STOPPED.value})
        )
        row = shared.containers.find(shared.who(), uuid)
    shared.containers.delete(shared.who(), row)
    _gone(shared, uuid)


def _gone(shared: Shared, uuid: str) -> None:
    def work(tx: Tx) -> None:
        row = containers.hold(tx, [uuid]).get(uuid)
        if row is not None:
            rows.bury(tx, row, shared.clock.now())

    shared.store.write(work)


def test_a_placement_that_was_away_is_caught_up_with(arbiter: Arbiter) -> None:
    here = PlacementWorld()
    here.placement = arbiter.driver()  # type: ignore[assignment]
    away = PlacementClaim(OPTIONS, Placement(Account(endpoint="http://127.0.0.1:9", token="admin")))
    here.conductors = [Claims(here.store, here.clock, random.Random(1), away, conf.Placing())]
    uuid = here.create(memory="64")
    here.settle()
    assert "Placement" in (here.reason(uuid) or "")
    here.conductors = [here.conductor(1)]
    here.settle()
    assert here.stage(uuid) == "ready"
    assert uuid in arbiter.driver().survey(here.provider()).held
    here.remove(uuid)
    here.settle()
    assert not arbiter.driver().survey(here.provider()).held


def test_an_account_of_the_service_asks_and_gets_a_new_token(guarded: Arbiter) -> None:
    assert guarded.keystone is not None
    known = identity.account(guarded.keystone, "dolium")
    names = ("auth_url", "username", "password", "project_name")
    options = {name: getattr(known, name) for name in names}
    config = conf.load(placing={"arbiter": "placement"}, placement=options)
    here = PlacementWorld()
    here.placement = driver(config, "deployment")  # type: ignore[assignment]
    here.conductors = [here.conductor(1)]
    uuid = here.create(memory="64")
    here.settle()
    assert here.stage(uuid) == "ready"

    asked = here.placement._placement._http  # type: ignore[attr-defined]
    token = asked.get_token()
    _revoke(f"{known.auth_url}/auth/tokens", token)
    until(lambda: _refuses(guarded.url, token), "a revoked token is good for Placement")
    here.remove(uuid)
    here.settle()
    assert asked.get_token() != token
    assert not here.placement.survey(here.provider()).held


def test_who_has_a_wrong_password_is_told_so(guarded: Arbiter) -> None:
    assert guarded.keystone is not None
    known = identity.account(guarded.keystone, "dolium")
    wrong = Placement(msgspec.structs.replace(known, password="wrong"))
    with pytest.raises(errors.Unanswered, match="401"):
        wrong.provider_named("host1")
    demo = Placement(identity.account(guarded.keystone, "demo"))
    with pytest.raises(errors.Unanswered, match="403"):
        demo.provider_named("host1")


def _revoke(url: str, token: str) -> None:
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=headers)).close()


def _refuses(url: str, token: str) -> bool:
    asked = urllib.request.Request(f"{url}/resource_providers", headers={"X-Auth-Token": token})
    try:
        urllib.request.urlopen(asked).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False
