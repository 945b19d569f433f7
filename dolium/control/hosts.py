"""The control side's end of the link: hosts enrol, pull wishes, post facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from dolium import conf, errors
from dolium.control import reconcile
from dolium.control.glance import Glance
from dolium.control.registries import Registries
from dolium.model import reading
from dolium.model.capsule import Belongs, Part
from dolium.model.clock import Clock
from dolium.model.container import Spec, Verb, Wanted
from dolium.model.host import Hello, Inventory, Welcome
from dolium.model.registry import Login
from dolium.model.wish import Ack, Command, Facts, Fate, Page, Wish
from dolium.store import actions, capsules, containers, hosts, liveness, networks
from dolium.store.containers import Observed
from dolium.store.store import Connection, Store, Tx

_spec = reading.reader(Spec)


class Hosts:
    """Answers agents; implements link.base.Control."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        placing: conf.Placing,
        deployment: str,
        heard: Callable[[str], None] = lambda host: None,
        registries: Registries | None = None,
        glance: Glance | None = None,
    ) -> None:
        """heard: told of each sign of life of a host's present boot. registries, glance: where
        there are any.
        """
        self._glance = glance or Glance(None)
        self._heard = heard
        self._registries = registries
        self._store = store
        self._clock = clock
        self._placing = placing
        self._deployment = deployment
        self._waiting: dict[object, tuple[str, int]] = {}

    def hello(self, hello: Hello) -> Welcome:
        """Enrol a host; what an older boot of it says from now on counts for nothing."""

        def work(tx: Tx) -> int:
            epoch = hosts.enrol(tx, hello, self._totals(hello.inventory), self._clock.now())
            tx.hint("placer")
            return epoch

        return Welcome(deployment=self._deployment, epoch=self._store.write(work))

    def _totals(self, inventory: Inventory) -> tuple[int, int, int, int]:
        memory = max(0, inventory.memory_mib - self._placing.reserved_memory)
        return (
            int(inventory.cpus * 1000 * self._placing.cpu_ratio),
            int(memory * self._placing.memory_ratio),
            inventory.disk_gib,
            inventory.cpus if inventory.enable_cpu_pinning else 0,
        )

    def wishes(self, host: str, boot: str, since: int, wait_s: float) -> Page:
        """What changed for the host; raises Changed when another boot of it has enrolled."""
        topic = f"host:{host}"
        seen = self._store.hints.count(topic)
        page, silent = self._page(host, boot, since)
        if silent:
            self._count(host, boot)
        self._heard(host)  # now: at the end of a wait it may be dead already
        if page.revision > since or page.full or wait_s <= 0:
            return page
        here = object()
        self._waiting[here] = host, since
        try:
            woken = self._store.hints.wait(topic, seen, wait_s) != seen
        finally:
            del self._waiting[here]
        return self._page(host, boot, since, woken=woken)[0]

    def waiting(self) -> list[tuple[str, int]]:
        """The polls that wait: host, and the revision after which there is news for it."""
        return [*self._waiting.copy().values()]

    def _count(self, name: str, boot: str) -> None:
        """What a silent host starts after an answer nobody may be giving up at the same time: it
        is counted at once, while others' signs of life wait for company.
        """
        if not self._store.write(lambda tx: liveness.answered(tx, name, boot)):
            raise errors.Changed(kind="Host", id=name)

    def _page(self, name: str, boot: str, since: int, *, woken: bool = False) -> tuple[Page, bool]:
        """What to tell the host, and whether it counts as silent."""
        if since and not woken:  # mostly there is no news, which one statement tells
            with self._store.glance() as connection:
                host = _present(hosts.get(connection, name), name, boot)
            if host.revision == since:
                return Page(revision=since), host.silent
        with self._store.read() as connection:
            host = _present(hosts.get(connection, name), name, boot)
            full = since == 0 or since < host.horizon or since > host.revision
            if not full and host.revision == since:
                return Page(revision=since), host.silent
            start = 0 if full else since
            found = containers.of_host(connection, name, start)
            buried = [] if full else containers.buried(connection, name, start)
            wishes = tuple(wishes_of(connection, found))
        back = {wish.uuid for wish in wishes}  # it was made anew elsewhere, and then here again
        gone = tuple(uuid for uuid in buried if uuid not in back)
        page = Page(revision=host.revision, wishes=wishes, gone=gone, full=full)
        return page, host.silent

    def post(self, facts: Facts) -> Ack:
        """Write facts down; the answer says up to where the host need not repeat them."""
        ack = self._store.write(lambda tx: self._post(tx, facts))
        if not ack.stale:
            self._heard(facts.host)
        return ack

    def _post(self, tx: Tx, facts: Facts) -> Ack:
        # Containers, then the host, as everybody does who holds both.
        rows = containers.hold(tx, {fact.uuid for fact in facts.facts})
        host = hosts.hold(tx, facts.host)
        if host is None or host.boot != facts.boot:
            return Ack(sequence=0, stale=True)
        if host.silent:
            liveness.answered(tx, facts.host, facts.boot)
        now = self._clock.now()
        known = [(rows[fact.uuid], fact) for fact in facts.facts if fact.uuid in rows]
        news = [
            (row, fact)
            for row, fact in known
            if row.host == facts.host
            and (row.fact_epoch, row.fact_sequence) < (host.epoch, fact.sequence)
        ]
        commands = actions.opened(tx.connection, [row.uuid for row, _ in news])
        seen: dict[str, dict[str, Any]] = {}
        # Projects in one order too: each is locked by the first of its containers that changes.
        for row, fact in sorted(news, key=lambda each: each[0].project_id):
            its = commands.get(row.uuid, [])
            if values := reconcile.apply(tx, row, its, fact, host.epoch, now):
                seen.setdefault(row.uuid, {}).update(values)
        containers.observe_all(tx, seen)
        return Ack(sequence=max((fact.sequence for fact in facts.facts), default=0))

    def login(self, host: str, boot: str, uuid: str) -> Login:
        """Who signs in for a container's image: told to nobody but its host, when it pulls."""
        with self._store.glance() as connection:
            _present(hosts.get(connection, host), host, boot)
        if self._registries is None:
            raise errors.NotFound(kind="Registry", id=f"of container {uuid}")
        return self._registries.login(host, uuid)

    def image(self, host: str, boot: str, uuid: str) -> Iterator[bytes]:
        """The bytes of a container's image of Glance: for nobody but its host."""
        with self._store.read() as connection:
            _present(hosts.get(connection, host), host, boot)
            row = containers.observed(connection, [uuid]).get(uuid)
        pin = _spec(row.spec).pin if row is not None and row.host == host else None
        if pin is None:
            raise errors.NotFound(kind="Container", id=uuid)
        return self._glance.read(pin)

    def place(self, host: str) -> tuple[str, int] | None:
        """Address and port where the host answers questions, as it told in its Hello."""
        with self._store.read() as connection:
            return hosts.place(connection, host)

    def fate(self, host: str, uuids: Sequence[str]) -> Fate:
        """What became of containers that the host found and has no wish for.

        Another host's containers are unknown to this one, whatever became of them.
        """
        with self._store.read() as connection:
            alive, gone = containers.fates(connection, host, uuids)
        strangers = [uuid for uuid in uuids if uuid not in alive]
        return Fate(
            gone=tuple(uuid for uuid in strangers if uuid in gone),
            unknown=tuple(uuid for uuid in strangers if uuid not in gone),
        )


def _present(host: hosts.Host | None, name: str, boot: str) -> hosts.Host:
    """The host, if this boot of it is the present one."""
    if host is None or host.boot != boot:
        raise errors.Changed(kind="Host", id=name)
    return host


def wishes_of(connection: Connection, found: Sequence[Observed]) -> list[Wish]:
    """Rows with their open actions, ports and networks, as a host reads them."""
    ids = [row.uuid for row in found]
    commands = actions.opened(connection, ids)
    plugged = networks.of_containers(connection, ids)
    parts = capsules.parts(connection, [row.capsule_id for row in found if row.capsule_id])
    return [
        _wish(
            row,
            commands.get(row.uuid, []),
            plugged.get(row.uuid),
            _belongs(row, parts[row.capsule_id]) if row.capsule_id else None,
        )
        for row in found
    ]


def _belongs(row: Observed, parts: Sequence[Observed]) -> Belongs:
    """What the host has to know of the capsule. Init containers start one after another."""
    return Belongs(
        capsule=row.capsule_id or "",
        part=Part(row.part or Part.CONTAINER),
        after=tuple(
            each.uuid
            for each in parts
            if row.part != Part.SANDBOX and each.part == Part.INIT and each.id < row.id
        ),
        parts=tuple(each.uuid for each in parts[1:] if row.part == Part.SANDBOX),
    )


def _wish(
    row: Observed,
    commands: list[Command],
    plugged: networks.Plugged | None,
    belongs: Belongs | None,
) -> Wish:
    ports, nets = plugged or ([], [])
    spec = _spec(row.spec)
    if spec.pin is not None:  # an older agent, which would pull what has the name somewhere, can't
        spec = msgspec.structs.replace(spec, image=spec.pin.name)
    return Wish(
        uuid=row.uuid,
        project_id=row.project_id,
        name=row.name,
        generation=row.generation,
        created_generation=row.created_generation,
        wanted=Wanted(row.wanted),
        start_epoch=row.start_epoch,
        spec=spec,
        ports=tuple(ports),
        networks=tuple(nets),
        # A condemned container's older commands are closed; only its deletion counts.
        commands=tuple(
            c for c in commands if row.wanted != Wanted.DELETED or c.verb is Verb.DELETE
        ),
        belongs=belongs,
    )
