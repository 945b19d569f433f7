"""What must hold when everything has calmed down, and what must hold at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from dolium.agent.plugin.ledger import Reserved
from dolium.control.rows import amounts
from dolium.model.container import ASKS, Spec, State, Status, Verb, Wanted, engine_name
from dolium.store import containers
from dolium.store.containers import Observed
from tests.simulation import capsules
from tests.simulation.control import QUOTA
from tests.simulation.machines import NOBODY, STRANGER, Machine
from tests.simulation.world import World

SHOWN = {
    State.RUNNING: Status.RUNNING,
    State.PAUSED: Status.PAUSED,
    State.EXITED: Status.STOPPED,
    State.CREATED: Status.CREATED,
}


class Broken(AssertionError):
    """An invariant does not hold."""


def holds(condition: object, what: str) -> None:
    """Raise Broken unless the condition is true."""
    if not condition:
        raise Broken(what)


def observed(world: World) -> list[Observed]:
    """All rows."""
    ids = [row[0] for row in world.store.rows("SELECT uuid FROM containers")]
    with world.store.read() as connection:
        return list(containers.observed(connection, ids).values())


def table(world: World, name: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    return world.store.table(name)


# --- at every moment -------------------------------------------------------------------------


def always(world: World) -> None:
    """What no kill and no fault may break for a moment."""
    owners: dict[str, str | None] = dict(world.store.rows("SELECT uuid, host FROM containers"))
    parts = "SELECT uuid, capsule_id FROM containers WHERE capsule_id IS NOT NULL"
    world.capsule_of.update(dict(world.store.rows(parts)))
    places: dict[str, list[str]] = {}
    users: dict[tuple[str, str], list[str]] = {}
    for machine in world.machines:
        down = machine.engine._down
        for box in machine.engine.boxes.values():
            uuid = box.labels.uuid
            if not box.alive or uuid in (NOBODY, STRANGER):
                continue
            if machine.name in world.gone:
                continue
            places.setdefault(uuid, []).append(machine.name)
            owner = owners.get(uuid)
            holds(owner == machine.name, f"{box.name} lives on {machine.name}, not on {owner}")
            for plug in box.plugs:
                for ip in plug.port.fixed_ips:
                    users.setdefault((plug.network.uuid, ip.address), []).append(uuid)
                name = machine.binder.port_name(plug.port.uuid)
                holds(down or name in machine.binder.ports, f"{box.name} runs without its port")
    for uuid, names in places.items():
        holds(len(names) == 1, f"live copies of {uuid[:4]} on {names}")
    for (_, address), uuids in users.items():
        holds(len(uuids) == 1, f"{address} is used by {uuids}")
    overfull = world.store.rows(
        "SELECT name FROM hosts"
        " WHERE used_cpu_m > total_cpu_m OR used_memory_mib > total_memory_mib"
        " OR used_dedicated > total_dedicated"
    )
    holds(not overfull, f"more is taken than there is: {overfull}")
    _groups(world)


def _groups(world: World) -> None:
    """Hard rules hold, whoever placed."""
    racks = {m.name: (m.place.zone, m.place.rack) for m in world.machines}
    members: dict[tuple[str, str], list[str]] = {}
    for project, group, host in world.store.rows(
        "SELECT g.project_id, g.name, c.host FROM containers AS c"
        " JOIN placement_groups AS g ON g.id = c.group_id WHERE c.host IS NOT NULL"
    ):
        members.setdefault((project, group), []).append(host)
    for (project, group), hosts in members.items():
        where = f"{group} of {project} on {hosts}"
        if group == "apart":
            holds(len(hosts) == len(set(hosts)), f"two on one host: {where}")
        if group == "racks":
            holds(len(hosts) == len({racks[host] for host in hosts}), f"two in a rack: {where}")
        if group == "near":
            holds(len({racks[host] for host in hosts}) == 1, f"in several racks: {where}")


def at_each_start(world: World, machine: Machine) -> Callable[[str], None]:
    """What must hold when a container starts: there is a row of it, and it is that host's."""

    def witness(uuid: str) -> None:
        rows = world.store.rows("SELECT host FROM containers WHERE uuid = ?", uuid)
        holds(rows == [(machine.name,)], f"{uuid[:4]} starts on {machine.name}, its row: {rows}")

    return witness


class Watcher:
    """Reads a project's changes now and then; what differs must have been told."""

    def __init__(self, world: World, project: str) -> None:
        self._store = world.store
        self._project = project
        self._revision = 0
        self._known: dict[str, tuple[Any, ...]] = {}

    def read(self) -> None:
        """Compare what is visible now with what was, and with what the changes tell."""
        found = self._store.rows(
            "SELECT revision, horizon FROM projects WHERE id = ?", self._project
        )
        revision, horizon = found[0] if found else (0, 0)
        told = self._store.rows(
            "SELECT revision, container_uuid FROM changes"
            " WHERE project_id = ? AND revision > ? ORDER BY revision",
            self._project,
            self._revision,
        )
        rows = self._store.rows(
            "SELECT uuid, status, status_reason, task_state, started_at, cpu_m, capsule_id"
            " FROM containers WHERE project_id = ?",
            self._project,
        )
        now = {row[0]: row for row in rows}
        capsule_of = {row[0]: row[-1] for row in [*rows, *self._known.values()] if row[-1]}
        if self._revision >= horizon:  # who is behind it reads everything again
            numbers = [row[0] for row in told]
            holds(numbers == list(range(self._revision + 1, revision + 1)), "a revision is missing")
            moved = {u for u in now.keys() | self._known.keys() if now.get(u) != self._known.get(u)}
            moved = {capsule_of.get(uuid, uuid) for uuid in moved}
            holds(moved <= {row[1] for row in told}, f"changes nobody was told of: {moved}")
        self._revision, self._known = revision, now


class HostWatcher:
    """Reads a host's pages now and then, each time from any process, and never the whole again:
    what it knows then must be what there is.
    """

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host
        self._since = 0
        self._known: dict[str, tuple[int, str]] = {}

    def read(self) -> None:
        """Follow the host's revision, and compare with the rows."""
        found = self._world.store.rows("SELECT boot FROM hosts WHERE name = ?", self._host)
        if not found:
            return
        # Not as the host itself, for which it would be a sign of life.
        page, _ = self._world.process().hosts._page(self._host, found[0][0], self._since)
        if page.full:
            self._known.clear()
        for wish in page.wishes:
            self._known[wish.uuid] = (wish.generation, str(wish.wanted))
        for uuid in page.gone:
            self._known.pop(uuid, None)
        self._since = page.revision
        rows = self._world.store.rows(
            "SELECT uuid, generation, wanted FROM containers WHERE host = ?", self._host
        )
        there = {uuid: (generation, wanted) for uuid, generation, wanted in rows}
        holds(self._known == there, f"{self._host}: pages told {self._known}, there is {there}")


# --- in the calm -----------------------------------------------------------------------------


def calm(world: World) -> None:
    """Every wish met or explained, nothing left over, all sums right."""
    rows = observed(world)
    for row in rows:
        _explained(world, row)
    _sums(world, rows)
    _actions(world)
    _starts(world)
    _signals(world)
    for machine in world.machines:
        here = [row for row in rows if row.host == machine.name]
        _leftovers(machine, here)
        wrong = capsules.together(machine, here)
        holds(not wrong, "; ".join(wrong))
        _cpus(machine)


def _explained(world: World, row: Observed) -> None:
    what = f"{row.uuid[:4]} {row.status} ({row.status_reason}), wanted {row.wanted}"
    holds(row.wanted != Wanted.DELETED, f"{what}: still there")
    holds(row.task_state is None, f"{what}: still busy with {row.task_state}")
    if row.status == Status.ERROR:
        holds(row.status_reason, f"{what}: an error without a reason")
        return
    machine = next((m for m in world.machines if m.name == row.host), None)
    holds(machine, f"{what}: on no host")
    assert machine is not None
    box = machine.engine.boxes.get(engine_name(row.uuid, row.created_generation))
    holds(box, f"{what}: not in the engine")
    assert box is not None
    cause = machine.engine.ends.get(row.uuid, ["never started"])[-1]
    what += f", engine says {box.state}, last end: {cause}"
    if not box.alive and (_refused(world, row.uuid) or machine.forgot[row.uuid]):
        return
    if row.status != Status.RESTARTING:
        holds(row.status == SHOWN[box.state], what)
    networks = {plug.network.uuid for plug in box.plugs}
    holds(machine.forgot[row.uuid] or networks == addresses(row), f"{what}: is on {networks}")
    spec = msgspec.json.decode(row.spec, type=Spec)
    match Wanted(row.wanted):
        case Wanted.RUNNING:
            excused = (
                cause == "kill"
                or (cause == "own" and _killed(world, row.uuid))
                # of which nobody saw an end, and the machine or its engine went down meanwhile
                or (cause == "crash" and _killed(world, row.uuid, unsure=True))
                or (cause == "own" and _may_rest(spec, machine.engine.codes.get(row.uuid)))
            )
            resting = row.status == Status.RESTARTING or excused
            holds(box.state is State.RUNNING or (not box.alive and resting), what)
        case Wanted.PAUSED:
            excused = cause in ("own", "kill")
            holds(box.state is State.PAUSED or (not box.alive and excused), what)
        case _:
            holds(not box.alive, what)


def addresses(row: Observed) -> set[str]:
    """The networks on which users see it."""
    return set(msgspec.json.decode(row.addresses) or ())


def _refused(world: World, uuid: str) -> bool:
    """Whether the last wish for a state had failed, so that it can't be met."""
    asked = [
        a
        for a in table(world, "actions")
        if a["container_uuid"] == uuid and ASKS[Verb(a["verb"])].wanted
    ]
    return bool(asked) and not max(asked, key=lambda a: int(a["generation"]))["ok"]


def _killed(world: World, uuid: str, *, unsure: bool = False) -> bool:
    """Whether somebody wanted it to end: then nobody can tell by what it did."""
    return any(
        a["verb"] == Verb.KILL and (a["ok"] or unsure) and b"SIGKILL" in a["params"]
        for a in table(world, "actions")
        if a["container_uuid"] == uuid
    )


def _may_rest(spec: Spec, exit_code: int | None) -> bool:
    """Whether the restart policy leaves a container alone that ended by itself."""
    policy = spec.restart_policy
    if policy is None or policy.name == "no":
        return True
    return policy.name == "on-failure" and (exit_code == 0 or policy.retries != "0")


def _sums(world: World, rows: list[Observed]) -> None:
    claims = {claim["container_uuid"]: claim for claim in table(world, "claims")}
    placed = {row.uuid for row in rows if row.host and row.part not in capsules.CONTAINERS}
    holds(claims.keys() == placed, f"claims of {claims.keys() ^ placed}")
    for host in table(world, "hosts"):
        for name in ("cpu_m", "memory_mib", "disk_gib", "dedicated"):
            taken = sum(c[name] for c in claims.values() if c["host"] == host["name"])
            used = host[f"used_{name}"]
            holds(used == taken, f"{host['name']}: {name} {used}, claims {taken}")
            holds(used <= host[f"total_{name}"], f"{host['name']}: {name} overfull")
    for project in table(world, "projects"):
        own = [
            amounts(msgspec.json.decode(row.spec, type=Spec), row.part)
            for row in rows
            if row.project_id == project["id"]
        ]
        for name in ("containers", "cpu_m", "memory_mib", "disk_gib"):
            total, used = sum(getattr(a, name) for a in own), project[f"used_{name}"]
            holds(used == total, f"project {project['id']}: {name} {used}, rows {total}")
        number = sum(each.containers for each in own)
        holds(number <= QUOTA, f"project {project['id']}: {number} containers")
    ports = {port["container_uuid"]: port["uuid"] for port in table(world, "ports")}
    holds(ports.keys() == placed, f"ports of {ports.keys() ^ placed}")
    owners = {address["port_uuid"] for address in table(world, "addresses")}
    holds(owners == set(ports.values()), "addresses without ports")


def _actions(world: World) -> None:
    left = [a for a in table(world, "actions") if a["open"]]
    holds(not left, f"open actions: {[(a['container_uuid'][:4], a['verb']) for a in left]}")


def _asked_starts(action: dict[str, Any]) -> bool:
    if action["verb"] in (Verb.CREATE, Verb.REBUILD):
        return bool(msgspec.json.decode(action["params"]).get("run"))
    return action["verb"] in (Verb.START, Verb.REBOOT)


def _starts(world: World) -> None:
    """Once per epoch, and again only for a reason."""
    begun: dict[str, list[float]] = {}
    reasons: Counter[str] = Counter()
    for machine in world.machines:
        for uuid, at in machine.engine.begun:
            begun.setdefault(uuid, []).append(at)
        for uuid, causes in machine.engine.ends.items():
            reasons[uuid] += sum(cause in ("crash", "rest") for cause in causes)
            if world.downs or _restarts(world, uuid):
                reasons[uuid] += causes.count("own")
        reasons.update(machine.engine.lost)
        reasons.update(machine.forgot)
    for uuid, capsule in world.capsule_of.items():  # it follows its sandbox
        if uuid != capsule:
            reasons[uuid] += len(begun.get(capsule, ()))
    for action in table(world, "actions"):
        uuid = action["container_uuid"]
        if not _asked_starts(action):
            continue
        reasons[uuid] += 1
        if action["ok"] and action["verb"] != Verb.START:
            asked, finished = world.asked[action["request_id"]], _finished(world, action["id"])
            during = [at for at in begun.get(uuid, ()) if asked <= at <= finished]
            holds(during, f"{uuid[:4]}: {action['verb']} is done without a start")
    for uuid, times in begun.items():
        holds(
            len(times) <= reasons[uuid],
            f"{uuid[:4]}: {len(times)} starts for {reasons[uuid]} reasons",
        )


def _finished(world: World, action: int) -> float:
    """When a host noted the result, in true time."""
    return min((m.journal.finished.get(action, inf) for m in world.machines), default=inf)


def _restarts(world: World, uuid: str) -> bool:
    policies = world.policies
    return policies.get(uuid) is not None


def _signals(world: World) -> None:
    asked: Counter[str] = Counter()
    for action in table(world, "actions"):
        if action["verb"] == Verb.KILL:
            asked[msgspec.json.decode(action["params"])["signal"]] += 1
    sent: Counter[str] = Counter()
    for machine in world.machines:
        sent.update(machine.engine.signals)
        if machine.forgot:  # who forgets what he did may do it twice
            return
    holds(not sent - asked, f"signals sent more often than asked for: {sent - asked}")


def _leftovers(machine: Machine, rows: list[Observed]) -> None:
    if machine.core is not None and machine.core.options.ready:
        machine.core.ready.clear(machine.core.deployment)
    nobodys = [b.name for b in machine.engine.boxes.values() if b.labels.uuid == NOBODY]
    holds(not nobodys, f"left in the engine and nobody's: {nobodys}")
    names = {engine_name(row.uuid, row.created_generation) for row in rows}
    others = (NOBODY, STRANGER)
    boxes = {b.name for b in machine.engine.boxes.values() if b.labels.uuid not in others}
    holds(boxes <= names, f"left in the engine: {boxes - names}")
    if machine.planted:
        planted = engine_name(STRANGER, 1) in machine.engine.boxes
        holds(planted, "a container was removed of which the store knows nothing")
    uuids = {row.uuid for row in rows} | ({STRANGER} if machine.planted else set())
    left = machine.journal.left()
    for kind in ("wish", "life", "result", "port"):
        keys = {key for its_kind, key in left if its_kind == kind}
        holds(keys <= uuids, f"left in the journal: {kind} {keys - uuids}")
    kinds = {kind for kind, _ in left}
    holds("chore" not in kinds, "ports are still to be unmade")
    holds("result" not in kinds, "results are not acknowledged")
    reserved = machine.journal.all("port", Reserved)
    ports = {machine.binder.port_name(p.uuid) for r in reserved.values() for p in r.ports}
    for box in machine.engine.boxes.values():  # which a restored journal may know nothing of
        ports |= {machine.binder.port_name(p.port.uuid) for p in box.plugs if box.alive}
    bound = set(machine.binder.ports)
    holds(bound <= ports, f"left in the kernel: {bound - ports}")


def _cpus(machine: Machine) -> None:
    """Dedicated CPUs are one container's alone."""
    every = set(range(machine.engine.options.cpus))
    live = [b for b in machine.engine.boxes.values() if b.alive and b.labels.uuid != STRANGER]
    for box in live:
        if box.spec.cpu_policy != "dedicated":
            continue
        holds(len(box.cpus) == box.spec.cpu, f"{box.name}: {box.spec.cpu} CPUs are {box.cpus}")
        for other in live:
            shared = set(box.cpus) & (set(other.cpus) or every)
            holds(other is box or not shared, f"{other.name} uses CPUs {shared} of {box.name}")


def empty(world: World) -> None:
    """After everything was deleted."""
    holds(not observed(world), "rows are left")
    _sums(world, [])
    _actions(world)
    _starts(world)
    _signals(world)
    for machine in world.machines:
        kinds = {kind for kind, _ in machine.journal.left()}
        holds(kinds <= {"host"}, f"{machine.name}: left in the journal: {kinds}")
        holds(not machine.binder.ports, f"{machine.name}: ports are left")
        holds(not machine.binder.networks, f"{machine.name}: bridges are left")
        holds(not machine.engine.networks, f"{machine.name}: the engine knows networks")
