"""What travels between the control side and a host: wishes down, facts up.

Fields may be added, never removed or given another meaning: an older reader ignores what it
does not know, a newer one has a default for what it misses.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from dolium.model.capsule import Belongs
from dolium.model.container import Seen, Spec, Task, Verb, Wanted
from dolium.model.image import Progress
from dolium.model.network import Network, Port


class Command(Struct, frozen=True, kw_only=True):
    """One asked change, to be carried out in the order of generations."""

    id: int
    """The action's number in the journal."""
    request_id: str
    generation: int
    verb: Verb
    params: dict[str, Any] = field(default_factory=dict)
    """create: {run}; stop, reboot: {timeout}; kill: {signal}; delete: {stop, force, timeout};
    rebuild: {run, was}, the generation that it replaces;
    network_attach, network_detach: {network}; commit: {image}, its id in Glance."""


class Wish(Struct, frozen=True, kw_only=True):
    """All a host needs to know about one container of its own."""

    uuid: str
    project_id: str
    name: str
    generation: int
    created_generation: int
    """The generation the engine's container is named by (create, or the last rebuild)."""
    wanted: Wanted
    start_epoch: int
    """Generation of the last wish that asked for a start; 0 when none did."""
    spec: Spec
    ports: tuple[Port, ...] = ()
    networks: tuple[Network, ...] = ()
    commands: tuple[Command, ...] = ()
    """The open actions, oldest first."""
    belongs: Belongs | None = None
    """The capsule it is of."""


class Page(Struct, frozen=True, kw_only=True):
    """What changed for a host since a revision."""

    revision: int
    wishes: tuple[Wish, ...] = ()
    gone: tuple[str, ...] = ()
    """Containers whose rows are deleted: forget them."""
    full: bool = False
    """True: this is everything there is; what is not in it is not this host's."""


class Step(Struct, frozen=True, kw_only=True):
    """Something that took its time on the way to a result."""

    event: str
    """Its name in the journal."""
    ok: bool
    message: str | None = None
    started_at: float
    finished_at: float


class Result(Struct, frozen=True, kw_only=True):
    """How a command ended."""

    id: int
    """The command's id."""
    ok: bool
    message: str | None = None
    started_at: float
    finished_at: float
    steps: tuple[Step, ...] = ()


class Fact(Struct, frozen=True, kw_only=True):
    """What a host knows about one container now."""

    uuid: str
    sequence: int
    """Grows with each fact of one agent boot."""
    generation: int
    """The wish this answers."""
    seen: Seen | None = None
    """None: the engine shows no such container, or (known=False) could not be asked."""
    known: bool = True
    task: Task | None = None
    """What is going on now, where it is more precise than the action's own."""
    progress: Progress | None = None
    """How far the image is that comes down now."""
    reason: str | None = None
    """A sentence for `status_reason`; None clears it."""
    restarting: bool = False
    """It ran and is started again unasked, now or after the restart policy's back-off."""
    results: tuple[Result, ...] = ()
    gone: bool = False
    """Stopped, unplugged and removed: nothing of it is left on the host."""


class Facts(Struct, frozen=True, kw_only=True):
    """One batch from one host."""

    host: str
    boot: str
    facts: tuple[Fact, ...]


class Ack(Struct, frozen=True, kw_only=True):
    """Up to which sequence a batch was written down."""

    sequence: int
    stale: bool = False
    """True: a newer boot of this host has enrolled; this agent must say Hello again or stop."""


class Question(Struct, frozen=True, kw_only=True):
    """Asked of a host about a running thing; changes no wish."""

    what: str
    """logs, execute, top, stats, get_archive or put_archive of a container; pull_image,
    remove_image, save_image or search_images."""
    uuid: str
    params: dict[str, Any] = field(default_factory=dict)
    request_id: str = ""
    """Of the request that asks, for the host's log."""


class Answer(Struct, frozen=True, kw_only=True):
    """The reply: a value, or an error as code + facts."""

    value: Any = None
    code: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Fate(Struct, frozen=True, kw_only=True):
    """What the store says about containers a host found and has no wish for."""

    gone: tuple[str, ...] = ()
    """Deleted for certain: what is left of them may be removed."""
    unknown: tuple[str, ...] = ()
    """Never heard of (a fresh or restored database): hands off."""
