"""What a Docker Engine answers: the fields we read, and what they are in our nouns. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct, field

from dolium.drivers.engine import docker_bodies as bodies
from dolium.drivers.engine.base import Happened, Labels, Usage
from dolium.drivers.engine.docker_errors import clean, no_program
from dolium.model.container import Health, Look, Seen, State, named

STATES = {
    "created": State.CREATED,
    "running": State.RUNNING,
    "restarting": State.RUNNING,
    "paused": State.PAUSED,
    "exited": State.EXITED,
    "removing": State.DEAD,
    "dead": State.DEAD,
    # Podman's
    "configured": State.CREATED,
    "initialized": State.CREATED,
    "stopping": State.RUNNING,
    "stopped": State.EXITED,
}
EVENTS = frozenset(
    {
        *("create", "start", "die", "died", "oom", "pause", "unpause", "destroy", "remove"),
        "health_status",
    }
)
"""Events after which a container looks different; `died` and `remove` are Podman's."""

_HEALTH = {health.value: health for health in Health}
_EXITED = re.compile(r"Exited \((\d+)\)")
_NEVER = "0001-01-01"


class Id(Struct, rename="pascal"):
    """Answer to a create."""

    id: str


class Info(Struct, rename="pascal"):
    """/info."""

    n_c_p_u: int = field(name="NCPU", default=0)
    mem_total: int = 0
    docker_root_dir: str = ""
    architecture: str = ""
    operating_system: str = ""
    kernel_version: str = ""
    server_version: str = ""
    driver: str = ""
    driver_status: list[tuple[str, str]] | None = None
    runtimes: dict[str, object] | None = None
    default_runtime: str = ""


class Listed(Struct, rename="pascal"):
    """One row of /containers/json."""

    id: str
    state: str
    status: str = ""
    labels: dict[str, str] | None = None
    names: list[str] | None = None

    @property
    def name(self) -> str:
        """Its own, which a link of others may hide in the list."""
        return next((name for name in self.names or () if name.count("/") < 2), "")


class Checked(Struct, rename="pascal"):
    """Health of an inspected container."""

    status: str = ""


class Running(Struct, rename="pascal"):
    """State of an inspected container."""

    status: str
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = field(name="OOMKilled", default=False)
    started_at: str = _NEVER
    finished_at: str = _NEVER
    health: Checked | None = None


class Config(Struct, rename="pascal"):
    """Configuration of an inspected container."""

    cmd: list[str] | None = None
    entrypoint: list[str] | str | None = None
    env: list[str] | None = None
    working_dir: str = ""
    hostname: str = ""
    exposed_ports: dict[str, object] | None = None
    labels: dict[str, str] | None = None
    tty: bool = False


class Networks(Struct, rename="pascal"):
    """Networks of an inspected container."""

    networks: dict[str, object] | None = None


class Limits(Struct, rename="pascal"):
    """What an inspected container may use."""

    cpuset_cpus: str = ""


class Inspected(Struct, rename="pascal"):
    """/containers/{id}/json."""

    id: str
    state: Running
    config: Config
    network_settings: Networks
    host_config: Limits = field(default_factory=Limits)
    name: str = ""


class InspectedNetwork(Struct, rename="pascal"):
    """/networks/{id}."""

    name: str
    driver: str
    labels: dict[str, str] | None = None


class InspectedExec(Struct, rename="pascal"):
    """/exec/{id}/json."""

    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    container_i_d: str = ""
    can_remove: bool = False

    @property
    def begun(self) -> bool:
        """Whether it was started. Podman has an exit code of 0 for one that was not."""
        return self.running or self.pid > 0 or self.can_remove


class Processes(Struct, rename="pascal"):
    """/containers/{id}/top."""

    titles: list[object]
    processes: list[object] | None = None


class Actor(Struct, rename="pascal"):
    """Whom an event is about."""

    attributes: dict[str, str] | None = None


class Told(Struct):
    """One line of /events."""

    action: str = field(name="Action", default="")
    actor: Actor = field(name="Actor", default_factory=Actor)


class CpuUse(Struct):
    """CPU time."""

    total_usage: int = 0


class Cpu(Struct):
    """CPU part of stats."""

    cpu_usage: CpuUse = field(default_factory=CpuUse)
    system_cpu_usage: int = 0


class Memory(Struct):
    """Memory part of stats."""

    usage: int = 0
    limit: int = 0
    stats: dict[str, int] | None = None


class Block(Struct):
    """One counter of a block device."""

    op: str
    value: int


class Blocks(Struct):
    """Block device part of stats."""

    io_service_bytes_recursive: list[Block] | None = None


class Interface(Struct):
    """One network interface's counters."""

    rx_bytes: int = 0
    tx_bytes: int = 0


class Stats(Struct):
    """/containers/{id}/stats."""

    cpu_stats: Cpu = field(default_factory=Cpu)
    memory_stats: Memory = field(default_factory=Memory)
    blkio_stats: Blocks = field(default_factory=Blocks)
    networks: dict[str, Interface] | None = None


def epoch(text: str) -> float | None:
    """Seconds since the epoch from the engine's RFC 3339; None for its "never"."""
    if not text or text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(text).timestamp()


def _labels(labels: dict[str, str] | None, name: str) -> dict[str, str]:
    """Its labels; of a sandbox that was ready before, its name tells those that it lacks."""
    labels = labels or {}
    whose = named(name.removeprefix("/")) if bodies.READY in labels else None
    return labels | {bodies.UUID: whose[0], bodies.GENERATION: str(whose[1])} if whose else labels


def mark(labels: dict[str, str] | None, name: str) -> Labels | None:
    """Our labels, if the thing of that name bears them."""
    labels = _labels(labels, name)
    try:
        return Labels(
            deployment=labels[bodies.DEPLOYMENT],
            uuid=labels[bodies.UUID],
            generation=int(labels[bodies.GENERATION]),
        )
    except (KeyError, ValueError):
        return None


def listed(row: Listed) -> Seen | None:
    """One row of the cheap listing; None when it is not ours."""
    if (ours := mark(row.labels, row.name)) is None:
        return None
    exited = _EXITED.match(row.status)
    return Seen(
        uuid=ours.uuid,
        generation=ours.generation,
        handle=row.id,
        state=STATES.get(row.state, State.DEAD),
        exit_code=int(exited[1]) if exited else None,
    )


def seen(found: Inspected) -> Seen | None:
    """Everything about one container; None when it is not ours."""
    if (ours := mark(found.config.labels, found.name)) is None:
        return None
    state = STATES.get(found.state.status, State.DEAD)
    over = state in (State.EXITED, State.DEAD)
    started, finished = epoch(found.state.started_at), epoch(found.state.finished_at)
    if started and finished:
        finished = max(started, finished)  # of who exits at once the engine notes it too late
    return Seen(
        uuid=ours.uuid,
        generation=ours.generation,
        handle=found.id,
        state=state,
        started_at=started,
        finished_at=finished if over else None,
        exit_code=found.state.exit_code if over else None,
        error=_error(found.state),
        cpus=_cpus(found.host_config.cpuset_cpus),
        health=_health(found.state) if state is State.RUNNING else None,
        look=_look(found.config),
    )


def _cpus(text: str) -> tuple[int, ...]:
    """`0-2,5` as numbers (cpuset(7), list format)."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def _error(state: Running) -> str | None:
    if state.error:
        text = clean(state.error)
        return no_program(text) or text
    return "It was killed: out of memory" if state.oom_killed else None


def _health(state: Running) -> Health | None:
    return _HEALTH.get(state.health.status) if state.health else None


def _look(config: Config) -> Look:
    entrypoint = config.entrypoint
    return Look(
        command=config.cmd or [],
        environment=dict(pair.split("=", 1) for pair in config.env or () if "=" in pair),
        workdir=config.working_dir,
        ports=sorted({int(port.split("/")[0]) for port in config.exposed_ports or ()}),
        hostname=config.hostname,
        entrypoint=entrypoint.split() if isinstance(entrypoint, str) else entrypoint or [],
    )


def usage(stats: Stats) -> Usage:
    """Resources in use; the inactive file cache is not counted as memory (as `docker stats`)."""
    memory = stats.memory_stats
    detail = memory.stats or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    blocks = stats.blkio_stats.io_service_bytes_recursive or []
    interfaces = (stats.networks or {}).values()
    return Usage(
        cpu_ns=stats.cpu_stats.cpu_usage.total_usage,
        system_cpu_ns=stats.cpu_stats.system_cpu_usage,
        memory=max(memory.usage - cache, 0),
        memory_limit=memory.limit,
        read=sum(block.value for block in blocks if block.op.lower() == "read"),
        written=sum(block.value for block in blocks if block.op.lower() == "write"),
        received=sum(interface.rx_bytes for interface in interfaces),
        sent=sum(interface.tx_bytes for interface in interfaces),
    )


def happened(told: Told) -> Happened | None:
    """An event that concerns a container of ours, or None."""
    attributes = told.actor.attributes or {}
    uuid = _labels(attributes, attributes.get("name", "")).get(bodies.UUID)
    what = told.action.partition(":")[0]  # health_status: healthy
    if uuid is None or what not in EVENTS:
        return None
    return Happened(uuid=uuid, what=what)
