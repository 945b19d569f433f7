"""Does what is on the host match the database exactly? Each difference is one sentence.

Looked at from outside of Dolium, without its code: tables, the agent's journal, the engine, links,
processes and control groups. `soon` waits for the differences to vanish, because Dolium may need
a moment to put things right; what it never puts right is a leak or a loss.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tests.live.place import Place

SHOWS = {
    "running": {"Running"},
    "paused": {"Paused"},
    "exited": {"Stopped", "Error", "Restarting"},
    "created": {"Created", "Error"},
    "dead": {"Dead", "Error"},
}
"""Engine's state -> statuses that tell it."""

AMOUNTS = ("cpu_m", "memory_mib", "disk_gib")
LABEL = "label=org.dolium.deployment="

Row = dict[str, Any]
Address = IPv4Address | IPv6Address


class Machine(Protocol):
    """A host of Dolium, and the database it works for."""

    place: Place
    host: str | None
    """Its name in the database; None where there is only one."""
    beside: Counter[str]
    """Daemons that run there, by program and first arguments."""
    links: frozenset[str]
    """Interfaces that the machine itself has."""

    @property
    def deployment(self) -> str:
        """The id that everything bears."""
        ...

    @property
    def mark(self) -> str:
        """The name of its engine and control groups."""
        ...

    def rows(self, query: str) -> list[Row]:
        """Of the database."""
        ...

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What its engine says."""
        ...

    def journal(self, kind: str) -> dict[str, Any]:
        """What its agent noted."""
        ...

    def tail(self, lines: int = 60) -> str:
        """What was said last."""
        ...


def soon(*machines: Machine, seconds: float = 60.0) -> None:
    """Wait until nothing differs; fails with every difference that stays."""
    deadline = time.monotonic() + seconds
    while found := [each for machine in machines for each in Look(machine).differences()]:
        if time.monotonic() > deadline:
            listed = "\n  ".join(found)
            told = "\n".join(machine.tail(60) for machine in machines)
            raise AssertionError(
                f"after {seconds:g} s hosts still differ from the database:\n  {listed}\n{told}"
            )
        time.sleep(0.3)


class Look:
    """Everything read once."""

    def __init__(self, machine: Machine) -> None:
        self.installation = machine
        self.place = machine.place
        self.containers = self._table("containers")
        self.by_uuid = {row["uuid"]: row for row in self.containers}
        boxes = {box["Name"].lstrip("/"): box for box in self._boxes()}
        self.ready = {name: box for name, box in boxes.items() if name.startswith("dolium-ready-")}
        """Sandboxes that wait for a capsule."""
        self.boxes = {name: box for name, box in boxes.items() if name not in self.ready}

    def differences(self) -> Iterator[str]:
        """One sentence each."""
        if len(self.ready) > 1:
            yield f"{len(self.ready)} sandboxes wait for a capsule, expected 1 at most"
        yield from self._wishes()
        yield from self._sums()
        yield from self._engine()
        yield from self._networks()
        yield from self._links()
        yield from self._journal()
        yield from self._processes()

    # --- reading -----------------------------------------------------------------------------

    def _table(self, name: str) -> list[Row]:
        return self.installation.rows(f"SELECT * FROM {name}")

    def _boxes(self) -> list[Row]:
        mine = f"{LABEL}{self.installation.deployment}"
        ids = self.installation.docker("ps", "-aq", "--no-trunc", "--filter", mine).split()
        # One that goes meanwhile makes the command fail and is left out.
        found = self.installation.docker("inspect", *ids, check=False) if ids else "[]"
        boxes: list[Row] = json.loads(found)
        return boxes

    @property
    def alive(self) -> list[Row]:
        """Engine containers with a process."""
        return [box for box in self.boxes.values() if box["State"]["Status"] in SHOWS_LIFE]

    # --- the database by itself ------------------------------------------------------------------

    def _wishes(self) -> Iterator[str]:
        for row in self.containers:
            what = f"{row['uuid']} ({row['name']}, {row['status']}, wanted {row['wanted']})"
            if row["wanted"] == "deleted":
                yield f"{what} is to be deleted and still there"
            if row["task_state"] is not None:
                yield f"{what} is still busy with {row['task_state']}"
            if row["stage"] in ("waiting", "gathers", "follows"):
                yield f"{what} has no host yet"
            if row["status"] == "Error" and not row["status_reason"]:
                yield f"{what} is in Error without a reason"
        for action in self._table("actions"):
            if action["open"]:
                yield f"action {action['verb']} of {action['container_uuid']} is open"

    def _sums(self) -> Iterator[str]:
        # One of a capsule claims nothing and has no port: its sandbox has both, and is not counted.
        placed = {
            row["uuid"]: row
            for row in self.containers
            if row["host"] and row["part"] not in ("init", "container")
        }
        claims = {claim["container_uuid"]: claim for claim in self._table("claims")}
        yield from _differ("claims", claims, placed)
        for host in self._table("hosts"):
            for name in AMOUNTS:
                taken = sum(c[name] for c in claims.values() if c["host"] == host["name"])
                if host[f"used_{name}"] != taken:
                    yield f"host {host['name']} has {host[f'used_{name}']} {name}, claims {taken}"
        for project in self._table("projects"):
            own = [row for row in self.containers if row["project_id"] == project["id"]]
            sums = {name: sum(row[name] for row in own) for name in AMOUNTS}
            counted = sum(row["part"] != "sandbox" for row in own)
            for name, total in (sums | {"containers": counted}).items():
                if project[f"used_{name}"] != total:
                    used = project[f"used_{name}"]
                    yield f"project {project['id']} has used {used} {name}, rows say {total}"
        ports = {port["container_uuid"]: port["uuid"] for port in self._table("ports")}
        yield from _differ("ports in the database", ports, placed)
        owners = {address["port_uuid"] for address in self._table("addresses")}
        yield from _differ("addresses in the database", owners, ports.values())

    # --- the engine ------------------------------------------------------------------------------

    def _engine(self) -> Iterator[str]:
        names = {f"dolium-{row['uuid']}-{row['created_generation']}": row for row in self.placed}
        for name in self.boxes.keys() - names.keys():
            yield f"the engine has {name}, of which the database knows nothing"
        for name, row in names.items():
            box = self.boxes.get(name)
            if box is None:
                if row["status"] not in ("Error", "Deleted"):
                    yield f"{name} is {row['status']} and not in the engine"
                continue
            state = box["State"]["Status"]
            if row["status"] not in SHOWS.get(state, set()):
                yield f"{name} is {row['status']}, the engine says {state}"
            if state in SHOWS_LIFE:
                yield from self._addresses(name, row, box)

    @property
    def placed(self) -> list[Row]:
        """Rows that have this host."""
        host = self.installation.host
        return [row for row in self.containers if row["host"] and host in (None, row["host"])]

    def _addresses(self, name: str, row: Row, box: Row) -> Iterator[str]:
        """What the API shows, what the engine knows, and what the kernel has inside."""
        wished = self._wished(row)
        known = {
            ip_address(settings[key])
            for settings in box["NetworkSettings"]["Networks"].values()
            for key in ("IPAddress", "GlobalIPv6Address")
            if settings[key]
        }
        if known != wished:
            yield f"{name} has {known} in the engine, {wished} in the database"
        pid = str(box["State"]["Pid"])
        listed = self.place.run("nsenter", "-t", pid, "-n", "ip", "-j", "addr", check=False)
        inside = {
            ip_address(each["local"])
            for link in json.loads(listed or "[]")
            for each in link.get("addr_info", ())
            if each.get("scope") == "global"
        }
        if row["capsule_id"]:
            wished = self._wished(self.by_uuid[row["capsule_id"]])
        if inside != wished:
            yield f"{name} has {inside} inside, {wished} in the database"

    def _wished(self, row: Row) -> set[Address]:
        return {
            ip_address(each["addr"])
            for some in (msgspec.json.decode(row["addresses"]) or {}).values()
            for each in some
        }

    def _networks(self) -> Iterator[str]:
        mine = f"{LABEL}{self.installation.deployment}"
        listed = self.installation.docker(
            "network", "ls", "--filter", mine, "--format", "{{.Name}}"
        ).split()
        yield from _differ("networks in the engine", listed, map("dolium-{}".format, self.used))

    @property
    def used(self) -> set[str]:
        """Networks that placed containers are on."""
        placed = {row["uuid"] for row in self.placed}
        return {port["network_uuid"] for port in self.plugged if port["container_uuid"] in placed}

    @property
    def plugged(self) -> list[Row]:
        """Ports of containers, but for those they were taken off."""
        ports = self._table("ports")
        return [p for p in ports if msgspec.json.decode(p["document"]).get("attached", True)]

    # --- the kernel ------------------------------------------------------------------------------

    def _links(self) -> Iterator[str]:
        links = json.loads(self.place.run("ip", "-j", "-d", "link"))
        named = {link["ifname"] for link in links}
        bridges = {_name("doln", uuid) for uuid in self.used}
        yield from _differ("bridges", (n for n in named if n.startswith("doln")), bridges)
        live = {_uuid(box) for box in self.alive}
        wanted = {_name("dolp", p["uuid"]) for p in self.plugged if p["container_uuid"] in live}
        yield from _differ("plugged ports", (n for n in named if n.startswith("dolp")), wanted)
        rest = {link["ifname"] for link in links if link.get("linkinfo", {}).get("info_kind")}
        rest -= self.installation.links
        for name in rest - bridges - wanted - {n for n in named if n[:4] in ("doln", "dolp")}:
            yield f"interface {name} is nobody's"

    def _journal(self) -> Iterator[str]:
        placed = {row["uuid"] for row in self.placed}
        installation = self.installation
        yield from _differ("wishes in the journal", installation.journal("wish"), placed)
        yield from _differ("lives in the journal", installation.journal("life"), placed)
        for kind in ("chore", "result"):
            for key in installation.journal(kind):
                yield f"the journal still has {kind} {key}"
        made = {_uuid(box) for box in self.boxes.values()}
        yield from _differ("ports promised", installation.journal("port"), made)
        yield from _differ("networks in the journal", installation.journal("network"), self.used)
        endpoints = [each["container"] for each in installation.journal("endpoint").values()]
        on = {port["container_uuid"] for port in self.plugged}
        live = [_uuid(box) for box in self.alive]
        yield from _differ("endpoints in the journal", endpoints, (u for u in live if u in on))

    def _processes(self) -> Iterator[str]:
        programs: Counter[str] = Counter()
        shims = []
        for line in self.place.processes().values():
            programs.update((Path(line[0]).name, " ".join(line[1:3])))
            if Path(line[0]).name == "containerd-shim-runc-v2":
                shims.append(line[line.index("-id") + 1])
        for name, number in self.installation.beside.items():
            if programs[name] != number:
                yield f"{programs[name]} processes of {name}, expected {number}"
        running = [box["Id"] for box in (*self.alive, *self.ready.values())]
        yield from _differ("shims", shims, running)
        if self.installation.host is not None:
            return  # engines of one cloud share a machine, and so these groups, in tests only
        mark = self.installation.mark
        for tree in Path("/sys/fs/cgroup").glob(f"*/{mark}"):
            groups = {path.name for path in tree.iterdir() if path.is_dir()}
            yield from _differ(f"groups in {tree}", groups, running)


SHOWS_LIFE = ("running", "paused")


def _uuid(box: Row) -> str:
    """Whose it is, which the labels of a sandbox that was ready before do not say."""
    return str(box["Name"].removeprefix("/dolium-").rpartition("-")[0])


def _name(kind: str, uuid: str) -> str:
    return f"{kind}{uuid.replace('-', '')[:11]}"


def _differ(what: str, found: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    has, should = Counter(iter(found)), Counter(iter(wanted))
    if surplus := has - should:
        yield f"{what}: too many: {', '.join(sorted(surplus.elements()))}"
    if lacking := should - has:
        yield f"{what}: missing: {', '.join(sorted(lacking.elements()))}"
