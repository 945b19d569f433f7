"""A control side of one host in memory, small enough to be seen through."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dolium import errors
from dolium.agent.core import Core, Options
from dolium.agent.journal import Journal
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake, Image
from dolium.model.container import ASKS, RestartPolicy, Spec, Verb, Wanted
from dolium.model.host import Hello, Welcome
from dolium.model.network import FixedIp, Network, Port, Subnet
from dolium.model.registry import Login
from dolium.model.wish import Ack, Command, Fact, Facts, Fate, Page, Result, Wish

DEPLOYMENT = "d0000000-0000-4000-8000-000000000000"
NETWORK = Network(
    uuid="a0000000-0000-4000-8000-000000000000",
    project_id="p",
    name="net",
    driver="fake",
    subnets=(Subnet(uuid="s", version=4, cidr="10.0.0.0/24", gateway="10.0.0.1"),),
)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Stub:
    """Implements link.base.Control."""

    def __init__(self) -> None:
        self.wishes_: dict[str, Wish] = {}
        self.changed: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self.facts: dict[str, Fact] = {}
        self.history: list[Fact] = []
        self.results: dict[int, Result] = {}
        self.closed_twice: list[int] = []
        self.boot = ""
        self.revision = 1
        self.sign_in: Login | errors.Error = errors.NotFound(kind="Registry", id="?")
        """What is answered to who asks for a login."""
        self.logins_asked = 0
        self.archive = b""
        """Of every image of Glance; empty: Glance is silent."""
        self.images_asked = 0
        self._ids = itertools.count(1)
        self._moved = threading.Condition()

    # --- the link ----------------------------------------------------------------------------

    def hello(self, hello: Hello) -> Welcome:
        self.boot = hello.boot
        return Welcome(deployment=DEPLOYMENT, epoch=1)

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        with self._moved:
            self._moved.wait_for(lambda: self.revision > since, wait_s)
            return Page(
                revision=self.revision,
                wishes=tuple(w for u, w in self.wishes_.items() if self.changed[u] > since),
                gone=tuple(u for u, at in self.gone.items() if at > since > 0),
                full=since == 0,
            )

    def post(self, facts: Facts) -> Ack:
        if facts.boot != self.boot:
            return Ack(sequence=0, stale=True)
        with self._moved:
            for fact in facts.facts:
                self.history.append(fact)
                self._take(fact)
            self._moved.notify_all()
        return Ack(sequence=max(fact.sequence for fact in facts.facts))

    def _take(self, fact: Fact) -> None:
        self.facts[fact.uuid] = fact
        for result in fact.results:
            if self.results.setdefault(result.id, result) != result:
                self.closed_twice.append(result.id)
        if wish := self.wishes_.get(fact.uuid):
            left = tuple(c for c in wish.commands if c.id not in self.results)
            self.wishes_[fact.uuid] = msgspec.structs.replace(wish, commands=left)
            if fact.gone:
                del self.wishes_[fact.uuid]
                self.revision += 1
                self.gone[fact.uuid] = self.revision

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        gone = tuple(u for u in uuids if u in self.gone)
        return Fate(gone=gone, unknown=tuple(u for u in uuids if u not in self.gone))

    def login(self, host: str, boot: str, uuid: str) -> Login:
        if boot != self.boot:
            raise errors.Changed(kind="Host", id=host)
        self.logins_asked += 1
        if isinstance(self.sign_in, Login):
            return self.sign_in
        raise self.sign_in

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        if boot != self.boot:
            raise errors.Changed(kind="Host", id=host)
        self.images_asked += 1
        return iter([self.archive[:7], self.archive[7:]]) if self.archive else _Silent()

    # --- users -------------------------------------------------------------------------------

    def create(self, uuid: str, *, run: bool = True, **spec: Any) -> int:
        spec = {"image": "busybox", "command": ["tail", "-f", "/dev/null"]} | spec
        wish = Wish(
            uuid=uuid,
            project_id="p",
            name="c",
            generation=0,
            created_generation=1,
            wanted=Wanted.CREATED,
            start_epoch=0,
            spec=Spec(**spec),
            ports=(port(uuid),),
            networks=(NETWORK,),
        )
        self.wishes_[uuid] = wish
        return self.ask(uuid, Verb.CREATE, run=run)

    def ask(self, uuid: str, verb: Verb, **params: Any) -> int:
        with self._moved:
            wish, row = self.wishes_[uuid], ASKS[verb]
            generation, number = wish.generation + 1, next(self._ids)
            command = Command(
                id=number, request_id="req", generation=generation, verb=verb, params=params
            )
            starts = row.starts or bool(verb is Verb.CREATE and params.get("run"))
            wanted = Wanted.RUNNING if starts else row.wanted or wish.wanted
            commands = (command,) if verb is Verb.DELETE else (*wish.commands, command)
            self.wishes_[uuid] = msgspec.structs.replace(
                wish,
                generation=generation,
                wanted=wanted,
                start_epoch=generation if starts else wish.start_epoch,
                commands=commands,
            )
            self.revision += 1
            self.changed[uuid] = self.revision
            self._moved.notify_all()
            return number

    def rebuild(self, uuid: str, *, run: bool = True, image: str = "busybox") -> int:
        with self._moved:
            wish = self.wishes_[uuid]
            self.wishes_[uuid] = msgspec.structs.replace(
                wish,
                created_generation=wish.generation + 1,
                wanted=wish.wanted if run else Wanted.CREATED,
                spec=msgspec.structs.replace(wish.spec, image=image),
            )
            return self.ask(uuid, Verb.REBUILD, run=run, was=wish.created_generation)

    def plug(self, uuid: str, *, attached: bool) -> int:
        with self._moved:
            some = (port(uuid),) if attached else ()
            self.wishes_[uuid] = msgspec.structs.replace(
                self.wishes_[uuid], ports=some, networks=(NETWORK,) if some else ()
            )
            verb = Verb.NETWORK_ATTACH if attached else Verb.NETWORK_DETACH
            return self.ask(uuid, verb, network=NETWORK.uuid)

    def wait(self, done: Any, timeout_s: float = 20.0) -> bool:
        with self._moved:
            return bool(self._moved.wait_for(done, timeout_s))


def port(uuid: str) -> Port:
    return Port(
        uuid=f"b{uuid[1:]}",
        network_uuid=NETWORK.uuid,
        container_uuid=uuid,
        mac="02:00:00:00:00:01",
        fixed_ips=(FixedIp(subnet_id="s", version=4, address="10.0.0.9", prefix=24),),
    )


def always(name: str = "always", retries: str = "0") -> RestartPolicy:
    return RestartPolicy(name=name, retries=retries)


class Bench:
    """One host on fakes, driven by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.control = Stub()
        self.engine = Fake(clock=self.clock)
        self.engine.images["busybox:latest"] = Image()
        self.binder = FakeBinder()
        self.journal = Journal(None)
        self.machine = "m1"
        self.lease_s = 0
        self.ready = 0
        self.core = self.boot()

    def boot(self) -> Core:
        """A new run of the agent on what the old one left, which has said hello."""
        self.wake().hello()
        return self.core

    def wake(self) -> Core:
        """A new run of the agent on what the old one left."""
        tokens = (f"t{n}" for n in itertools.count())
        self.wiring = Wiring(
            self.journal,
            self.binder,
            self.engine,
            "dolium-test",
            DEPLOYMENT,
            mint=lambda: next(tokens),
        )
        self.core = Core(
            self.control,
            self.engine,
            self.wiring,
            self.journal,
            self.clock,
            random.Random(1),
            Options(host="h", machine=self.machine, lease_s=self.lease_s, ready=self.ready),
        )
        return self.core

    def settle(self, seconds: float = 0.0) -> list[str]:
        """Pull, work on all that is due within some seconds, post."""
        said, until = [], self.clock.time + seconds
        while True:
            self.core.pull()
            for event in self.engine.happened(DEPLOYMENT):
                self.core.hear(event.uuid, event.what)
            uuid = self.core.agenda.take()
            if uuid is not None:
                said.append(self.core.step(uuid))
                self.core.agenda.done(uuid)
                continue
            self.core.post()
            if not (page := self.core.pull()).gone and not page.wishes:
                at = self.core.agenda.next_at()
                if at is None or at > until:
                    self.clock.time = until
                    return said
                self.clock.time = max(self.clock.time, at)


class _Silent:
    """The bytes of an image while Glance does not answer."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise errors.Unanswered(what="Glance", why="connection refused")
