"""Many processes' worth of threads on one database: users, placers, hosts that come and go, and
conductors that heal, at the same time.
"""

from __future__ import annotations

import random
import threading
import uuid as uuids
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress

import sqlalchemy as sa

from dolium import conf, errors
from dolium.control.containers import Containers
from dolium.control.heartbeats import Heartbeats
from dolium.control.hosts import Hosts
from dolium.control.lost import Lost
from dolium.control.networks import Networks
from dolium.control.placer import Placer
from dolium.control.services import Services
from dolium.model.clock import SystemClock
from dolium.model.container import Seen, Spec, State, Verb, Wanted
from dolium.model.context import Context
from dolium.model.host import Hello, Inventory
from dolium.model.wish import Fact, Facts, Page, Result, Wish
from dolium.store import projects
from dolium.store.schema import (
    actions,
    addresses,
    claims,
    containers,
    hosts,
    networks,
    placement_groups,
    ports,
)
from dolium.store.store import Store
from tests.control.world import FlatNetwork

PATIENCE_S = 120.0
PROJECTS = ("p1", "p2", "p3")
HOSTS = {"h1": "r1", "h2": "r1", "h3": "r2", "h4": "r2", "h5": "r3", "h6": "r3"}
"""And their racks."""
GROUPS = (
    {"group": "nodes", "anti_affinity": "node"},
    {"group": "racks", "anti_affinity": "rack"},
    {"group": "even"},
)
PLACERS = 3
CONDUCTORS = 2
QUOTA = conf.Quota(containers=-1, cpu=-1, memory=-1, disk=-1)


class Crowd:
    """Each of them with a store of its own, as a process would have."""

    def __init__(self, make_store: Callable[[], Store], each: int, users: int = 6) -> None:
        self._make_store = make_store
        self._each = each
        self._users = users
        self._clock = SystemClock()
        self._over = threading.Event()
        self._quiet = threading.Event()
        """Set when users are done: nothing happens to hosts any more."""
        self._dark: set[str] = set()
        """Hosts whose agents are not running."""
        self.lost = 0
        """Hosts that were given up."""
        self.moved = 0
        """Containers that were made anew elsewhere."""
        self.stores: list[Store] = []
        self.troubles: list[BaseException] = []
        self.put_off: Counter[str] = Counter()
        """Failures that everybody has to expect of a database: class -> how many."""

    def play(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Users create, stop and delete until they are done; then all becomes quiet."""
        users = [self._thread(self._use, number) for number in range(self._users)]
        others = [self._thread(self._place, number) for number in range(PLACERS)]
        others += [self._thread(self._serve, name) for name in HOSTS]
        others += [self._thread(self._heal) for _ in range(CONDUCTORS)]
        others += [self._thread(work) for work in (self._beat, self._watch)]
        loser = self._thread(self._lose)
        try:
            meanwhile()
            for user in users:
                user.join(PATIENCE_S)
            assert not any(user.is_alive() for user in users), "users hang"
            self._quiet.set()
            loser.join(PATIENCE_S)
            self._settle()
        finally:
            self._quiet.set()
            self._over.set()
            for other in others:
                other.join(PATIENCE_S)
            for store in self.stores:
                store.close()
        assert self.troubles == []

    def store(self) -> Store:
        """One more."""
        made = self._make_store()
        self.stores.append(made)
        return made

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(self.store(), *arguments)
            except BaseException as error:
                self.troubles.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _again(self, work: Callable[[], object]) -> None:
        """Until the database answers, as every caller of the API does."""
        while True:
            try:
                work()
                return
            except errors.Unanswered as error:
                self.put_off[str(error)] += 1
                self._over.wait(0.05)

    # --- users ----------------------------------------------------------------------------------

    def _use(self, store: Store, number: int) -> None:
        rng = random.Random(number)
        api = Containers(store, self._clock, QUOTA, rng)
        for _ in range(self._each):
            who = Context(user_id="u", project_id=rng.choice(PROJECTS), request_id=_request())
            alone = rng.random() < 0.2
            spec = Spec(
                image="cirros",
                cpu=2.0 if alone else rng.choice((0.5, 1.0)),
                cpu_policy="dedicated" if alone else "shared",
                memory="64",
                hints=rng.choice(GROUPS) if rng.random() < 0.5 else {},
                auto_heal=rng.random() < 0.7,
            )
            self._again(lambda: api.create(who, "c", spec, run=True))  # noqa: B023
            self._again(lambda: self._change(api, rng))

    def _change(self, api: Containers, rng: random.Random) -> None:
        who = Context(user_id="u", project_id="", request_id=_request(), is_admin=True)
        with self.stores[0].read() as connection:
            found = connection.execute(sa.select(containers.c.uuid).limit(40)).all()
        if not found:
            return
        try:
            row = api.find(who, rng.choice(found)[0])
            what = rng.randrange(4)
            if what == 0:
                api.ask(who, row, Verb.STOP, {"timeout": 1})
            elif what == 1:
                api.patch(who, row, cpu=rng.choice((0.5, 1.5)))
            else:
                api.delete(who, row, force=True)
        except (errors.WrongState, errors.NotFound, errors.NoHost, errors.Changed):
            pass  # somebody else was quicker
        except errors.Invalid:
            pass  # dedicated CPUs stay as they are

    # --- placers and hosts ------------------------------------------------------------------------

    def _place(self, store: Store, number: int) -> None:
        placer = Placer(store, self._clock, Networks(store, FlatNetwork()), random.Random(number))
        while not self._over.is_set():
            self._again(placer.turn)
            self._over.wait(0.005)

    def _serve(self, store: Store, name: str) -> None:
        link = Hosts(store, self._clock, conf.Placing(), "deployment")
        while not self._over.is_set():
            if name in self._dark:
                self._over.wait(0.01)
                continue
            try:
                self._live(link, name)
            except errors.Changed:
                continue  # it was given up: hello again

    def _live(self, link: Hosts, name: str) -> None:
        """One run of an agent, until it dies."""
        boot, sequence, since = str(uuids.uuid4()), 0, 0
        hello = Hello(host=name, boot=boot, inventory=_inventory(name))
        self._again(lambda: link.hello(hello))
        while not self._over.is_set() and name not in self._dark:
            pages: list[Page] = []
            self._again(lambda: pages.append(link.wishes(name, boot, since, 0.05)))  # noqa: B023
            for wish in pages[-1].wishes:
                sequence += 1
                fact = _fact(wish, sequence)
                batch = Facts(host=name, boot=boot, facts=(fact,))
                self._again(lambda: link.post(batch))  # noqa: B023
            since = pages[-1].revision

    # --- hosts that are lost ----------------------------------------------------------------------

    def _lose(self, store: Store) -> None:
        """Agents die with all they had, an operator says so, and they come back."""
        operator, rng = Services(store, self._clock), random.Random(0)
        while not self._quiet.wait(0.2):
            name = rng.choice(list(HOSTS))
            self._dark.add(name)
            with suppress(errors.NotFound):  # it has not yet said hello
                self._again(lambda: operator.declare(name))  # noqa: B023
                self.lost += 1
                self._quiet.wait(0.3)
                self._again(lambda: operator.force_down(name, False))  # noqa: B023
            self._dark.discard(name)

    def _heal(self, store: Store) -> None:
        lost = Lost(store, self._clock, conf.Hosts())
        healed: list[int] = []
        while not self._over.wait(0.01):
            self._again(lost.judge)
            self._again(lambda: healed.append(lost.heal()))
        self.moved += sum(healed)

    def _beat(self, store: Store) -> None:
        """As an API process to which all agents speak."""
        heartbeats = Heartbeats(store, self._clock)
        while not self._over.wait(0.005):
            for name in HOSTS:
                heartbeats.heard(name)
            self._again(heartbeats.flush)

    def _watch(self, store: Store) -> None:
        """Rules that hold at any time, in whatever somebody sees together."""
        while not self._over.wait(0.01):
            self._again(lambda: _rules(store))

    def _settle(self) -> None:
        """Wait until no action is open."""
        for _ in range(int(PATIENCE_S * 20)):
            with self.stores[0].glance() as connection:
                query = sa.select(sa.func.count()).select_from(actions).where(actions.c.open)
                if not connection.execute(query).scalar_one():
                    return
            assert not self.troubles, self.troubles
            self._over.wait(0.05)
        raise AssertionError("some actions stay open")


def _request() -> str:
    return f"req-{uuids.uuid4()}"


def _fact(wish: Wish, sequence: int) -> Fact:
    """What an obedient host reports of a wish."""
    done = tuple(
        Result(id=command.id, ok=True, started_at=1.0, finished_at=2.0) for command in wish.commands
    )
    known = {"uuid": wish.uuid, "sequence": sequence, "generation": wish.generation}
    if wish.wanted is Wanted.DELETED:
        return Fact(**known, gone=True, results=done)  # type: ignore[arg-type]
    state = State.RUNNING if wish.wanted is Wanted.RUNNING else State.EXITED
    seen = Seen(uuid=wish.uuid, generation=1, handle="h", state=state, started_at=1.0)
    return Fact(**known, seen=seen, results=done)  # type: ignore[arg-type]


def _inventory(name: str) -> Inventory:
    return Inventory(
        hostname=name,
        cpus=8,
        memory_mib=8192,
        disk_gib=200,
        rack=HOSTS[name],
        enable_cpu_pinning=True,
    )


def _rules(store: Store) -> None:
    """Who is to be apart is so, and no CPU is promised to two."""
    group, host = placement_groups.c, containers.c.host
    with store.read() as connection:
        found = connection.execute(
            sa.select(group.project_id, group.name, host)
            .join_from(containers, placement_groups, containers.c.group_id == group.id)
            .where(host.is_not(None))
        ).all()
        taken = connection.execute(sa.select(hosts.c.used_dedicated, hosts.c.total_dedicated))
        assert all(used <= total for used, total in map(tuple, taken))
    members: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for project, name, where in map(tuple, found):
        members[project, name].append(HOSTS[where] if name == "racks" else where)
    for (project, name), domains in members.items():
        if name in ("nodes", "racks"):
            assert len(domains) == len(set(domains)), (project, name, domains)


def check(store: Store) -> int:
    """What is counted equals what is there; returns how many containers there are."""
    _rules(store)
    with store.read() as connection:
        rows = connection.execute(sa.select(containers)).all()
        held = connection.execute(sa.select(claims)).all()
        plugged = connection.execute(sa.select(ports.c.uuid, ports.c.container_uuid)).all()
        taken = connection.execute(sa.select(addresses.c.port_uuid)).all()
        loads = connection.execute(sa.select(hosts)).all()
        nets = connection.execute(sa.select(networks.c.project_id)).all()
        quotas = {name: projects.used(connection, name) for name in PROJECTS}
    placed = {row.uuid: row.host for row in rows if row.host}
    assert {claim.container_uuid: claim.host for claim in held} == placed
    assert sorted(port.container_uuid for port in plugged) == sorted(placed)
    assert sorted(address.port_uuid for address in taken) == sorted(port.uuid for port in plugged)
    for host in loads:
        its = [claim for claim in held if claim.host == host.name]
        for what in ("cpu_m", "memory_mib", "disk_gib", "dedicated"):
            used = getattr(host, f"used_{what}")
            assert used == sum(getattr(claim, what) for claim in its), (host.name, what)
            assert used <= getattr(host, f"total_{what}")
    for name, quota in quotas.items():
        own = [row for row in rows if row.project_id == name]
        assert (quota.containers, quota.cpu_m, quota.memory_mib) == (
            len(own),
            sum(row.cpu_m for row in own),
            sum(row.memory_mib for row in own),
        ), name
    assert len(nets) == len(set(nets))
    return len(rows)
