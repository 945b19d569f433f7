"""Which CPUs of a host its containers may use: dedicated ones are one container's alone.

The control side counts whole CPUs (`cpu_policy` dedicated), the host chooses which. What was
chosen stands in the container's note before the engine hears of it; the others are moved off
those CPUs by a pass of their own, as anything else that differs from what is wished.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from dolium import errors
from dolium.agent.agenda import Agenda
from dolium.agent.notes import Life, Notes
from dolium.model.container import Seen
from dolium.model.wish import Wish

DEDICATED = "dedicated"


class Pins:
    """Of all containers of one host. Safe to use from many threads."""

    def __init__(self, notes: Notes, agenda: Agenda, every: Callable[[], tuple[int, ...]]) -> None:
        """every: asks the engine which CPUs there are; empty when it can't tell."""
        self._ask = every
        self._every: tuple[int, ...] = ()
        self._notes = notes
        self._agenda = agenda
        self._lock = threading.Lock()
        self._own: dict[str, frozenset[int]] | None = None
        """CPUs by container; None until the notes were read."""

    def of(self, wish: Wish, life: Life, seen: Seen | None) -> tuple[int, ...]:
        """The CPUs the container is to use; empty: whichever it uses now.

        Chooses for a dedicated one that has none yet: who calls writes `life` down before he
        goes on. Raises Full while there are too few, and what the engine raises.
        """
        alone = wish.spec.cpu_policy == DEDICATED
        with self._lock:
            own = self._known()
            if not alone and not own and not (seen and seen.cpus):
                return ()
            self._every = self._every or self._ask()
            if not alone:
                return self._left(own)
            if life.cpus and own.get(wish.uuid) == frozenset(life.cpus):
                return life.cpus
            life.cpus = self._choose(wish, own, seen)
            own[wish.uuid] = frozenset(life.cpus)
        self._move(wish.uuid)
        return life.cpus

    def free(self, uuid: str) -> None:
        """The container is gone, and its CPUs are everybody's again."""
        with self._lock:
            if self._known().pop(uuid, None) is None:
                return
        self._move(uuid)

    def _left(self, own: dict[str, frozenset[int]]) -> tuple[int, ...]:
        """What no container has for itself. Should that be nothing, which the control side does
        not let happen, all may use all.
        """
        taken = frozenset().union(*own.values())
        return tuple(cpu for cpu in self._every if cpu not in taken) or self._every

    def _choose(
        self, wish: Wish, own: dict[str, frozenset[int]], seen: Seen | None
    ) -> tuple[int, ...]:
        others = frozenset().union(*(cpus for uuid, cpus in own.items() if uuid != wish.uuid))
        free = [cpu for cpu in self._every if cpu not in others]
        count = wish.spec.cpu_m // 1000
        if seen and len(seen.cpus) == count and set(seen.cpus) <= set(free):
            return seen.cpus  # the note was lost, the engine knows
        if len(free) < count:
            raise errors.Full(what="The set of CPUs of this host", why=f"{len(free)} are free")
        return tuple(free[:count])

    def _move(self, but: str) -> None:
        """All containers that share have more or fewer CPUs now."""
        for uuid, wish in self._notes.wishes().items():
            if uuid != but and wish.spec.cpu_policy != DEDICATED:
                self._agenda.add(uuid)

    def _known(self) -> dict[str, frozenset[int]]:
        if self._own is None:
            self._own, taken = {}, set[int]()
            for uuid, life in self._notes.lives().items():
                if not life.gone and taken.isdisjoint(life.cpus):  # a restored note may be wrong
                    self._own[uuid] = frozenset(life.cpus)
                    taken.update(life.cpus)
            self._own = {uuid: cpus for uuid, cpus in self._own.items() if cpus}
        return self._own
