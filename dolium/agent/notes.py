"""What the agent writes into its journal about each container: the wish, what was done for it,
and results that the control side has not written down yet.
"""

from __future__ import annotations

from msgspec import Struct

from dolium.agent.journal import Journal
from dolium.model.host import Inventory, Welcome
from dolium.model.wish import Result, Step, Wish


class Begun(Struct, frozen=True, kw_only=True):
    """A command that was begun and has not ended."""

    id: int
    """The command's."""
    at: float
    """When it was first tried."""
    acted: bool = False
    """True once something that must not be repeated was about to be sent."""
    handle: str | None = None
    """What the engine showed before: a changed start time says that it has happened."""
    before: float | None = None


class Launch(Struct, frozen=True, kw_only=True):
    """A start that was about to be sent."""

    epoch: int
    handle: str
    before: float | None
    """When the engine said it was last started; a later time says that it has happened."""


class Life(Struct, kw_only=True):
    """What a host remembers about one container besides its wish."""

    made: tuple[int, ...] = ()
    """Generations that may exist in the engine; written before the engine is asked."""
    making: int | None = None
    """The generation whose making was asked of the engine and has not come to its end."""
    exists: bool = False
    """True once the engine showed it: if it is missing later, it vanished."""
    done: int = 0
    """Generation of the last command that ended: none is carried out twice."""
    begun: Begun | None = None
    started: int = 0
    """The start epoch that was used up: one start for each (decision 10)."""
    launch: Launch | None = None
    running: str | None = None
    """The engine's incarnation under which it last ran; None when it ended by itself or was
    stopped. Another incarnation now means that it went down with its engine."""
    rested: bool = False
    """Stopped by us on an orderly `down`: comes back with the next start."""
    restarts: int = 0
    """How often the restart policy started it since somebody asked for a start."""
    short: int = 0
    """How many of the last runs ended within seconds, one after another."""
    next_at: float | None = None
    """When the restart policy starts it again."""
    quiet: float | None = None
    """When a signal was sent that asks it to end: if it does, it is left alone."""
    cpus: tuple[int, ...] = ()
    """Those it has for itself; see agent/pins.py."""
    pull: Step | None = None
    """Of the command under way: of its image, when that is over."""
    handle: str = ""
    """The engine's id of it, while it exists."""
    sandbox: str = ""
    """The engine's id of the sandbox that it was made for."""
    sandbox_run: str = ""
    """The run of the sandbox in which it was last started."""
    gone: bool = False

    def generations(self, wish: Wish) -> list[int]:
        """Those that the engine may have a container of, oldest first."""
        return sorted({*self.made, wish.created_generation})


class Renewed(Struct, frozen=True):
    """When the control side last answered, on the monotonic clock of one run of the machine."""

    machine: str
    at: float


class _Results(Struct):
    items: tuple[Result, ...] = ()


class Notes:
    """Typed access to the journal; one container's life is written by one thread at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.together = journal.together

    def wish(self, uuid: str) -> Wish | None:
        """The wish as last pulled."""
        return self._journal.get("wish", uuid, Wish)

    def wishes(self) -> dict[str, Wish]:
        """All of them."""
        return self._journal.all("wish", Wish)

    def keep(self, wish: Wish) -> None:
        """Replace the wish by a newer one."""
        self._journal.put("wish", wish.uuid, wish)

    def disown(self, uuid: str) -> None:
        """The control side names it no longer; what was done for it stays noted."""
        self._journal.drop("wish", uuid)

    def life(self, uuid: str) -> Life | None:
        """What was done so far; None: nothing is known."""
        return self._journal.get("life", uuid, Life)

    def lives(self) -> dict[str, Life]:
        """All of them."""
        return self._journal.all("life", Life)

    def save(self, uuid: str, life: Life) -> None:
        """Write down what was done, or is about to be."""
        self._journal.put("life", uuid, life)

    def results(self, uuid: str) -> tuple[Result, ...]:
        """Ended commands that are not acknowledged yet."""
        kept = self._journal.get("result", uuid, _Results)
        return kept.items if kept else ()

    def finish(self, uuid: str, life: Life, result: Result) -> None:
        """A command ended: never again, and its result is kept until acknowledged."""
        with self._journal.together():
            self.save(uuid, life)
            items = (*self.results(uuid), result)
            self._journal.put("result", uuid, _Results(items=items))

    def settle(self, uuid: str, acknowledged: tuple[Result, ...]) -> None:
        """The control side wrote these results down."""
        ids = {result.id for result in acknowledged}
        with self._journal.together():
            items = tuple(r for r in self.results(uuid) if r.id not in ids)
            if items:
                self._journal.put("result", uuid, _Results(items=items))
            else:
                self._journal.drop("result", uuid)

    def forget(self, uuid: str) -> None:
        """Nothing of the container is left and nobody asks any more."""
        with self._journal.together():
            for kind in ("wish", "life", "result"):
                self._journal.drop(kind, uuid)

    def welcome(self) -> Welcome | None:
        """The control side's last answer to a Hello."""
        return self._journal.get("host", "welcome", Welcome)

    def renewed(self, machine: str) -> float | None:
        """When an earlier run of the agent was last answered; None: not on this run of the
        machine, which has started nothing yet.
        """
        known = self._journal.get("host", "renewed", Renewed)
        return known.at if known is not None and known.machine == machine else None

    def renew(self, machine: str, at: float) -> None:
        """The control side has answered."""
        self._journal.put("host", "renewed", Renewed(machine, at))

    def inventory(self) -> Inventory | None:
        """What the machine offered when the engine last answered."""
        return self._journal.get("host", "inventory", Inventory)

    def enrol(self, welcome: Welcome, inventory: Inventory) -> None:
        """Keep both for a start at which a neighbour is silent."""
        with self._journal.together():
            self._journal.put("host", "welcome", welcome)
            self._journal.put("host", "inventory", inventory)
